"""`python -m benchmarks.assess.speed`: CPU time and memory that `tetrapylon assess` takes for a long log."""

import argparse
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.assess.simulate import STYLES, System, lognormal


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.assess.speed", description=__doc__)
    parser.add_argument("--lines", type=int, default=1_000_000, help="of each log (default: %(default)s)")
    options = parser.parse_args()
    system = System(lognormal(7, 0.5), lognormal(30, 0.5), rate=200.0)
    for style, write in STYLES.items():
        with tempfile.TemporaryDirectory(prefix="bench-assess-") as folder:
            log = Path(folder) / "access.log"
            with log.open("w") as file:
                file.writelines(f"{write(*request)}\n" for request in system.requests(options.lines, 1))
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            command = [sys.executable, "-m", "tetrapylon", "assess", str(log)]
            subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
        took = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        size = f"{after.ru_maxrss / 1024:.0f} MiB at most by now"
        print(f"{style}: {took:.1f} s of CPU for {options.lines:,} lines, {size}", flush=True)


if __name__ == "__main__":
    main()
