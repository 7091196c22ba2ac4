"""Mistakes that could be made in the balancer, each of which the simulator has to find."""
