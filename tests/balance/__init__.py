"""Tests of `lbproxy.balance`."""
