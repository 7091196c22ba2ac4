"""Tests of the data plane's services."""
