"""Names with values: those of a query (WHATWG URL, section 5.1) and those of a Cookie field (RFC 6265)."""
