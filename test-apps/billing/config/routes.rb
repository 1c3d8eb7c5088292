# frozen_string_literal: true

Rails.application.routes.draw do
  mount ReplicatesTo::Receiver => "/replicates_to"

  root "home#index"

  defaults format: :json do
    resources :cars, only: %i[index]
    resources :customers, only: %i[index]
    resources :roster_entries, only: %i[index]
    resource :setting, only: %i[show update]
  end
end
