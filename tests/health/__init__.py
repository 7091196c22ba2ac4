"""Tests of `lbproxy.health`."""
