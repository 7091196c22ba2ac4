"""A user's own config among simulated clients and backends, and whether it does what it should."""
