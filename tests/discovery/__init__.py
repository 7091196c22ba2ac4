"""Tests of lbproxy.discovery."""
