"""The control process: what must exist once, beside the workers. Today the admin's answers."""

from tetrapylon.control.process import main, serve

__all__ = ["main", "serve"]
