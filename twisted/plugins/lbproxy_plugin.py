"""The name `lbproxy` for twistd.

Every twistd command on the machine imports this module, so it imports nothing of ours.
"""

from twisted.application.service import ServiceMaker

lbproxy = ServiceMaker(
    "lbproxy",
    "lbproxy.service",
    "An HTTP load balancer and reverse proxy with failover and health checks.",
    "lbproxy",
)
