"""Which backend is next. No I/O."""
