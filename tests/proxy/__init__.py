"""Tests of lbproxy.proxy, in memory."""
