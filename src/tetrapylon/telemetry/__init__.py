"""What the gateway tells of itself: events, the access log, spans."""
