"""Conditional and range requests, asked of a response that is at hand (RFC 9110 sections 13 and 14)."""
