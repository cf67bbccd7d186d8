"""What clients are told of the cache (RFC 9211); nothing of it is for Python."""
