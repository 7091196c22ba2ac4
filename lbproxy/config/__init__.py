"""What to run: a TOML file, or the defaults, as frozen values that were checked once."""
