"""Combinations of features under clients that misbehave; see `__main__`."""
