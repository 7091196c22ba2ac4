"""What goes on without an end of its own: event streams and WebSockets, and how they end."""
