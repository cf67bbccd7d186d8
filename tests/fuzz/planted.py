"""`python -m tests.fuzz.planted`: is each planted bug found? Built one by one in a copy of the tree.

Also a control: the copy as it is, in which nothing may be found.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.fuzz.plants import PLANTS, Plant

ROOT = Path(__file__).resolve().parents[2]
NEEDED = (
    "ext",
    "src",
    "tests",
    "build/cython",
    "build/temp*",
    "setup.py",
    "pyproject.toml",
    "README.md",
    "LICENSE",
)
BUDGET = ("--requests", "30000", "--responses", "12000", "--quick")


def copy(to: Path) -> None:
    """With times kept, so that only what is changed gets compiled."""
    for pattern in NEEDED:
        for source in ROOT.glob(pattern):
            target = to / source.relative_to(ROOT)
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)


def plant(tree: Path, bug: Plant) -> str:
    """Puts a bug in; the text to put back. Raises LookupError if its place is not there, once."""
    path = tree / bug.file
    text = path.read_text()
    if text.count(bug.was) != 1:
        raise LookupError(f"{bug.name}: {bug.was!r} is {text.count(bug.was)} times in {bug.file}")
    path.write_text(text.replace(bug.was, bug.becomes))
    return text


def build(tree: Path) -> None:
    subprocess.run(
        [sys.executable, "setup.py", "--quiet", "build_ext", "--inplace"],
        cwd=tree,
        check=True,
        capture_output=True,
    )


def fuzz(tree: Path, seed: int) -> tuple[bool, str, float]:
    """Was anything found, what first, and in how many seconds?"""
    began = time.monotonic()
    run = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", *BUDGET, "--seed", str(seed)],
        cwd=tree,
        env=os.environ | {"PYTHONPATH": f"{tree / 'src'}:{tree}"},
        capture_output=True,
        text=True,
    )
    found = [line for line in run.stdout.splitlines() if line.startswith("FOUND")]
    if run.returncode == 1 and found:
        return True, found[0][6:106], time.monotonic() - began
    if run.returncode == 0:
        return False, "nothing", time.monotonic() - began
    raise RuntimeError(f"the fuzzer itself failed: {run.stdout}{run.stderr}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.planted")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", help="bugs whose name holds this")
    given = parser.parse_args()
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="planted-") as folder:
        tree = Path(folder)
        copy(tree)
        build(tree)
        if not given.only:
            found, what, seconds = fuzz(tree, given.seed)
            print(f"{'WRONG' if found else 'ok':6} {seconds:5.1f} s  no bug: {what}", flush=True)
            wrong += found
        for bug in PLANTS:
            if given.only and given.only not in bug.name:
                continue
            text = plant(tree, bug)
            build(tree)
            found, what, seconds = fuzz(tree, given.seed)
            print(f"{'found' if found else 'MISSED':6} {seconds:5.1f} s  {bug.name}: {what}", flush=True)
            wrong += not found
            (tree / bug.file).write_text(text)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
