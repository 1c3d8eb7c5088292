# frozen_string_literal: true

require "openssl"
require "stringio"

# Requests as the relay makes them, put straight into the Rack app.
module SignedRequest
  SECRET = "whsec_#{['the secret of the receiver specs'].pack('m0')}"

  Response = Struct.new(:status, :headers, :json)

  # @return [Hash] one record; members can be overridden
  def record(version: 1, key: "42", operation: "update", model: "Vehicle", **attributes)
    {"id" => "dlv_#{model.downcase}#{key}_#{version}", "source" => "monolith", "model" => model, "key" => key,
     "operation" => operation, "version" => version, "committed_at" => "2026-11-22T06:46:00.123456Z",
     "attributes" => operation == "delete" ? nil : attributes.transform_keys(&:to_s)}
  end

  # Sends a Hash or a String, signed unless told otherwise.
  # @return [Response]
  def deliver(content, secret: SECRET, at: Time.now, env: {})
    body = content.is_a?(String) ? content : JSON.generate(content)
    status, headers, parts = ReplicatesTo::Receiver.call(environment(body, secret, at).merge(env).compact)
    Response.new(status, headers, JSON.parse(parts.join))
  end

  def signature(secret, id, timestamp, body)
    key = secret.delete_prefix("whsec_").unpack1("m0")
    "v1,#{[OpenSSL::HMAC.digest('SHA256', key, "#{id}.#{timestamp}.#{body}")].pack('m0')}"
  end

  private

  def environment(body, secret, at)
    id = "dlv_test"
    timestamp = at.to_i.to_s
    {"REQUEST_METHOD" => "POST", "CONTENT_TYPE" => "application/json", "rack.input" => StringIO.new(body),
     "HTTP_WEBHOOK_ID" => id, "HTTP_WEBHOOK_TIMESTAMP" => timestamp,
     "HTTP_WEBHOOK_SIGNATURE" => secret && signature(secret, id, timestamp, body)}
  end
end
