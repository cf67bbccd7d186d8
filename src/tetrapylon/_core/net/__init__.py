"""Addresses, TLS and what a client says before HTTP."""
