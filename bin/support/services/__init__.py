"""The services that tests and demonstrations run against: a real Kafka broker and a real PostgreSQL server."""
