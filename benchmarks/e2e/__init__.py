"""Gateways side by side, in front of the same upstream, on one core each."""
