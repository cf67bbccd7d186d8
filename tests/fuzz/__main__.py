"""`python -m tests.fuzz`: mutated requests and responses through the gateway, in one process or several.

    python -m tests.fuzz                                        about a minute
    python -m tests.fuzz --requests 1000000 --responses 200000  the full run
    python -m tests.fuzz --replay build/fuzz/FILE.json          one finding again

What goes wrong is made smaller, written to build/fuzz and printed; the exit status is then 1.
"""

import argparse
import faulthandler
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import uvloop

from tests.fuzz.cases import Case, RequestCase, load, save
from tests.fuzz.rig import Finding
from tests.fuzz.run import Outcome, Place, Share, backend, cases, work
from tests.fuzz.shrink import replay, shrink
from tetrapylon._core.http import parse

FOLDER = Path("build/fuzz")
SPACING = 1 << 40  # between the case numbers of two processes


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.split("\n\n")[0])
    parser.add_argument("--requests", type=int, default=80_000, help="mutated requests (default %(default)s)")
    parser.add_argument(
        "--responses", type=int, default=20_000, help="mutated responses (default %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1, help="processes (default %(default)s)")
    parser.add_argument(
        "--seconds", type=float, default=float("inf"), help="stop each process after that long"
    )
    parser.add_argument("--replay", type=Path, nargs="+", help="run these files' cases at once, nothing else")
    parser.add_argument(
        "--quick", action="store_true", help="tell of findings as they are, none made smaller"
    )
    parser.add_argument("--share", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


def show(finding: Finding, case: Case | None) -> None:
    print(f"FOUND {finding.kind}: {finding.detail[:2000]}")
    if case is None:
        print(
            f"  not by one case alone; seen while {len(finding.cases)} ran: {', '.join(finding.cases[:30])}"
        )
        return
    for said in case.parts if isinstance(case, RequestCase) else [one.said for one in case.asked]:
        print(f"  {said!r}")
    print(f"  cuts {case.cuts}, backend {parse.backend()}, transport {case.transport}")


async def report(outcome: Outcome) -> None:
    """Prints the findings, each by the smallest case that shows it."""
    told = set()
    for number, (finding, suspects) in enumerate(outcome.findings):
        if finding.kind in told:
            continue
        told.add(finding.kind)
        small, name = None, "llhttp"
        for suspect in suspects[:24]:
            name = backend(int(suspect.name[1:]))
            parse.use_backend(name)
            small = await shrink(suspect, finding.kind)
            if small is not None:
                break
        show(finding, small)
        kept = [small] if small is not None else suspects
        for case in kept:
            path = FOLDER / f"{finding.kind}-{number}-{case.name}.json"
            save(case, path)
            print(f"  TETRAPYLON_PARSER={name} python -m tests.fuzz --replay {path}")


def one_share(given: argparse.Namespace) -> int:
    """A child's work; its counts are the last line of its output."""
    share = Share(
        given.seed,
        given.requests // given.jobs,
        given.responses // given.jobs,
        given.share * SPACING // 24 * 24,
        given.seconds,
    )
    outcome = uvloop.run(work(share, Place(FOLDER / f"at-{given.share}")))
    if given.quick:
        for finding, suspects in outcome.findings:
            show(finding, suspects[0] if len(suspects) == 1 else None)
    elif outcome.findings:
        uvloop.run(report(outcome))
    print(
        json.dumps(
            {
                "seen": outcome.seen,
                "seconds": outcome.seconds,
                "findings": [f.kind for f, _ in outcome.findings],
            }
        )
    )
    return 1 if outcome.findings else 0


def after_crash(given: argparse.Namespace, share: int, status: int) -> None:
    """Which case of the batch that was running brings the process down?"""
    direction, first = Place.read(FOLDER / f"at-{share}")
    print(f"FOUND crash: process {share} ended with status {status} in the batch from case {first}")
    for case in cases(given.seed, direction, first):
        path = FOLDER / f"crash-{case.name}.json"
        save(case, path)
        command = [sys.executable, "-m", "tests.fuzz", "--replay", str(path)]
        parser = {"TETRAPYLON_PARSER": backend(first)}
        alone = subprocess.run(
            ["env", *(f"{k}={v}" for k, v in parser.items()), *command], capture_output=True
        )
        if alone.returncode < 0:
            print(f"  TETRAPYLON_PARSER={backend(first)} python -m tests.fuzz --replay {path}")
            return
        path.unlink()
    print("  no single case of it does that")


def all_shares(given: argparse.Namespace) -> int:
    command = [sys.executable, "-X", "faulthandler", "-m", "tests.fuzz", *sys.argv[1:], "--share"]
    children = [
        subprocess.Popen([*command, str(share)], stdout=subprocess.PIPE, text=True)
        for share in range(given.jobs)
    ]
    seen: Counter[str] = Counter()
    findings: Counter[str] = Counter()
    seconds = 0.0
    for share, child in enumerate(children):
        lines = child.communicate()[0].splitlines()
        if child.returncode not in (0, 1) or not lines:
            print("\n".join(lines))
            after_crash(given, share, child.returncode)
            findings["crash"] += 1
            continue
        told = json.loads(lines.pop())
        print("\n".join(lines), end="\n" if lines else "")
        seen.update(told["seen"])
        findings.update(told["findings"])
        seconds = max(seconds, told["seconds"])
    total = seen["requests"] + seen["responses"]
    print(
        f"{seen['requests']} mutated requests, {seen['reached']} of them "
        f"({seen['reached'] / max(1, seen['requests']):.0%}) reached the upstream; "
        f"{seen['responses']} mutated responses; {seconds:.0f} s, {total / max(seconds, 0.001):.0f} a second"
    )
    print(", ".join(f"{name} {count}" for name, count in sorted(seen.items())))
    print(f"findings: {dict(findings) or 'none'}")
    return 1 if findings else 0


def again(paths: list[Path]) -> int:
    batch = [load(path) for path in paths]
    findings = uvloop.run(replay(batch))
    for finding in findings:
        show(finding, batch[0] if len(batch) == 1 else None)
    print(f"{len(findings)} findings")
    return 1 if findings else 0


def main() -> int:
    faulthandler.enable()
    given = arguments()
    if given.replay:
        return again(given.replay)
    if given.share is not None:
        return one_share(given)
    return all_shares(given)


if __name__ == "__main__":
    sys.exit(main())
