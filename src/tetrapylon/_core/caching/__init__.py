"""Stored responses (RFC 9111)."""
