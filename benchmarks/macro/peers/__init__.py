"""The proxies that are measured, a module each."""
