"""Tests of lbproxy.control."""
