"""An event-driven TCP/HTTP load balancer and reverse proxy on Twisted."""

__version__ = "0.1.0"
