"""The whole balancer on a network, a clock and chance that one number decides."""
