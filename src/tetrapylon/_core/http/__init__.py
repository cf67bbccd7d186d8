"""Messages as they are on the wire, and the gateway's own answers."""
