"""Asking backends whether they are well."""
