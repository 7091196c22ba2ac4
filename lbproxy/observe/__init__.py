"""What is told of the traffic: the access log."""
