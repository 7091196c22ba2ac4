"""The data plane: what serves clients, in the parent's process or in one of its children."""
