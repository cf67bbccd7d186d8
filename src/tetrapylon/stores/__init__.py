"""What policies keep outside of a worker: in Redis, or in a file."""
