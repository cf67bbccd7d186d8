"""Tetrapylon: an API gateway that a Python team can own."""

from tetrapylon._version import VERSION as __version__

__all__ = ["__version__"]
