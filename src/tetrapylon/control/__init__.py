"""The control process: what must exist once, beside the workers. The admin's answers, and its orders."""

from tetrapylon.control.process import main

__all__ = ["main"]
