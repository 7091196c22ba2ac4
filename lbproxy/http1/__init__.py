"""The engine's grammar: bytes to messages and back, knowing no socket and no proxy."""
