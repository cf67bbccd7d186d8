"""Byte ownership: the header table of one message, and bytes that wait. Nothing here is for Python."""

class Buffer:
    """Bytes that wait: appended at the tail, taken from the front, freed when empty."""
