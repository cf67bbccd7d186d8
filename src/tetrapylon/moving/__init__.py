"""How a route moves from one upstream to another, step by step, and when it goes back.

Knows nothing of sockets, loops or processes: `control.moving` gives it time, counts and findings.
"""

from tetrapylon.moving.judge import Counts, Limits, Window, regression
from tetrapylon.moving.state import Move, Settings, Step

__all__ = ["Counts", "Limits", "Move", "Settings", "Step", "Window", "regression"]
