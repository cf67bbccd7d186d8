"""Gateways before targets that fail, side by side."""
