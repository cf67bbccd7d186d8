"""Upstreams that really fail: processes killed, frozen, slowed, filled, resetting, half-closing, lying."""
