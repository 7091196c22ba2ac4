"""Tests of lbproxy.observe."""
