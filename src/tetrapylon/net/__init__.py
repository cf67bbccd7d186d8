"""Listening sockets, TLS, and which peers are believed."""
