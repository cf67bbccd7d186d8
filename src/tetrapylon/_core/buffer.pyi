"""Who holds which bytes: the header table of a message, and bytes that wait. Nothing of it is for Python."""

from typing import final

@final
class Buffer:
    """Bytes that wait, for the compiled plane alone."""
