"""Tests of `lbproxy.forward`."""
