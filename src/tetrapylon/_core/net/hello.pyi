"""What a ClientHello is refused for before OpenSSL reads it. RFC 8446 section 4.1.2."""
