"""Whether two answers to one request mean the same: compared by meaning, without the noise, and counted.

Knows nothing of sockets, configs or processes: `shadow`, `replay` and the gate of `move` all stand on it.
"""

from tetrapylon.diff.answer import Answer, Difference
from tetrapylon.diff.compare import compare
from tetrapylon.diff.findings import Findings
from tetrapylon.diff.noise import Noise
from tetrapylon.diff.rules import Rules

__all__ = ["Answer", "Difference", "Findings", "Noise", "Rules", "compare"]
