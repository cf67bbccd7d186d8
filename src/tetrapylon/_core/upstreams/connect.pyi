"""A connection to a target, being opened."""
