"""Decisions about a request and its answer: where it goes, what is changed, what is retried."""
