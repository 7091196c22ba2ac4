"""The ordering service without a framework."""
