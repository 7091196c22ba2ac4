"""Both backends as real processes over one store."""
