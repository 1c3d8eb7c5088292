# frozen_string_literal: true

Rails.application.routes.draw do
  root "home#index"

  defaults format: :json do
    resources :vehicles, only: %i[index show create update destroy] do
      post :import, on: :collection
      post :reprice, on: :collection
    end
    resources :drivers, only: %i[index show create update destroy]
    resources :owners, only: %i[index show create update destroy]
  end
end
