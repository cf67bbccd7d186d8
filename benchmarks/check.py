"""`python -m benchmarks.check`: how long `tetrapylon check` takes for 10,000 routes, in each format.

A process of its own each time, from its start to its end. Exit status 1: a format's median is beyond 1.5 s.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from .micro.test_config import FORMATS, config

BAR = 1.5
COMMAND = str(Path(sys.executable).with_name("tetrapylon"))


def check(path: Path) -> float:
    """Seconds. Raises CalledProcessError where the config is refused."""
    began = time.perf_counter()
    subprocess.run([COMMAND, "check", str(path)], check=True, capture_output=True)
    return time.perf_counter() - began


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.check", description=__doc__)
    parser.add_argument("--routes", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    whole = config(options.routes)
    met = True
    with tempfile.TemporaryDirectory() as directory:
        for name, write in FORMATS.items():
            path = Path(directory, f"gateway.{name}")
            path.write_text(write(whole))
            times = [check(path) for _ in range(options.rounds)]
            median = statistics.median(times)
            met &= median <= BAR
            print(
                f"{name}: {median:.2f} s ({min(times):.2f} to {max(times):.2f})"
                f" for {options.routes:,} routes: bar {BAR:g} s {'met' if median <= BAR else 'NOT MET'}"
            )
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
