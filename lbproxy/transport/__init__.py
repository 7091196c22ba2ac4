"""Sockets: transports that write at once, connecting, and one coarse timer for all of them."""
