# frozen_string_literal: true

Rails.application.routes.draw { get "/vehicles/create/:plate", to: "vehicles#create" }
