# frozen_string_literal: true

module ReplicatesTo
  module Receiver
    # What became of one record, or of a request that was refused before a record was read. The code is a word of the
    # response contract; the table below is the one place that says which HTTP status and which word in a batch it is.
    class Outcome
      # code => [HTTP status when it is the answer to a single record, `status` of a result in a batch].
      # A batch has no word for what befalls the whole request.
      CODES = {
        applied: [200, "applied"],
        stale: [200, "stale"],
        invalid_record: [422, "rejected"],
        unknown_model: [422, "rejected"],
        failed_dependency: [424, "retry"],
        conflict: [409, "retry"],
        internal_error: [500, "retry"],
        unavailable: [503, nil],
        malformed: [400, nil],
        unauthorized: [401, nil],
        method_not_allowed: [405, nil],
        too_large: [413, nil],
        unsupported_media_type: [415, nil]
      }.freeze

      # @return [Symbol] a key of {CODES}
      attr_reader :code
      # @return [String, nil] why, for people; never a value of the record
      attr_reader :message
      # @return [Integer, nil] the version this application holds, when the record is stale
      attr_reader :version
      # @return [Array<String>] attributes of the record which the target does not have
      attr_reader :unknown_attributes

      def initialize(code, message: nil, version: nil, unknown_attributes: [])
        @http_status, @word = CODES.fetch(code)
        @code = code
        @message = message
        @version = version
        @unknown_attributes = unknown_attributes
        freeze
      end

      # @return [Integer]
      attr_reader :http_status

      # @return [String, nil] `applied`, `stale`, `rejected` or `retry`; nil when it ends the whole request
      attr_reader :word

      # @return [Boolean] whether nobody can go on with this request, its other records included
      def ends_request?
        word.nil?
      end

      # @return [Boolean]
      def error?
        http_status != 200
      end
    end
  end
end
