# frozen_string_literal: true

require "json"
require "net/http"
require_relative "failed"

module Stack
  # JSON requests to one of the applications.
  class JsonHttp
    # @return [String]
    attr_reader :url

    def initialize(url)
      @url = url
    end

    # @return [Object, nil] parsed body
    # @raise [Failed] unless the status is the expected one
    def call(method, path, body = nil, status: 200)
      response = request(method, path, body)
      return response.body.to_s.empty? ? nil : JSON.parse(response.body) if response.code.to_i == status

      raise Failed, "#{method.to_s.upcase} #{path} answered #{response.code} instead of #{status}: #{response.body.to_s[0, 200]}"
    end

    # @return [String, nil] body of a page; nil while nobody answers with 200
    def page(path = "/")
      response = request(:get, path, nil)
      response.body if response.code == "200"
    rescue SystemCallError, IOError
      nil
    end

    private

    def request(method, path, body)
      uri = URI.join(@url, path)
      request = Net::HTTP.const_get(method.to_s.capitalize).new(uri, "content-type" => "application/json")
      request.body = JSON.generate(body) if body
      Net::HTTP.start(uri.host, uri.port, read_timeout: 30) { |http| http.request(request) }
    end
  end
end
