"""Tests of `lbproxy.probe`."""
