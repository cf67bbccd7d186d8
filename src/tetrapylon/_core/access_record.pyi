"""What the access log is told of an exchange that is over."""
