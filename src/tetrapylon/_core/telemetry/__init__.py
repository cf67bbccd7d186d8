"""Counters and the access log."""
