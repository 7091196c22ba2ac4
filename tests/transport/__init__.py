"""Tests of lbproxy.transport."""
