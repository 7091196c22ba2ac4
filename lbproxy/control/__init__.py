"""The control plane: what is supervised, and what the balancer says of itself."""
