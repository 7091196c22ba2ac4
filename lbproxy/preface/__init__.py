"""What may stand before a connection's own bytes: a PROXY header, or the name in a ClientHello."""
