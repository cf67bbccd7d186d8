"""The user's own Python: how it is found, run and described."""
