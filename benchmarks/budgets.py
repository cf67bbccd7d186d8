"""`python -m benchmarks.budgets`: instructions per request against budgets.toml.

callgrind counts them, in user space. Per variant two loads of different length run over one connection,
and a dump after each tells how many instructions it took: their difference over the difference in
requests leaves out what start, accept and end of a connection cost. Time plays no part, so neither does
the machine: two counts of the same build differ by about one in ten thousand.

What each policy adds is counted too (`benchmarks.policies`); `--part` names one half alone, and policies
after it are counted alone.
"""

import argparse
import re
import shutil
import subprocess
import sys
import time
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path

from . import policies
from .bridge import Bridge
from .e2e.load import CHUNKED, POST, SMALL, Loading, Scenario
from .e2e.process import Gateway, Upstream, tree
from .e2e.workshop import ROOT, Unavailable, apt_install, call, compile_tool
from .peers import Peer, nginx, tetrapylon

BUDGETS = Path(__file__).with_suffix(".toml")
SHORT, LONG = 200, 1200
FEW, MORE = 100, 400
"""For policies, of which there are many."""
START_LIMIT = 60.0
PATIENCE = 120.0
"""Seconds that a load may take: callgrind is slow, and the machine may be busy."""

OURS = (sys.executable, "-m", "tetrapylon.worker")
"""Serves a config in this very process: no supervisor, no fork."""


@dataclass(frozen=True)
class Variant:
    name: str
    config: str
    scenario: Scenario


LOGGED = "logged.yaml"
HANDLERS = "handlers.yaml"
QUOTE = ("--expect-length", "83")
UPLOAD = Scenario("upload-chunked", "POST 4 KiB, chunked", (*POST.arguments, "--chunked"))
VARIANTS = (
    Variant("small", "gateway.yaml", SMALL),
    Variant("chunked", "gateway.yaml", CHUNKED),
    Variant("post", "gateway.yaml", POST),
    Variant("post-chunked", "gateway.yaml", UPLOAD),
    Variant("logged", LOGGED, SMALL),
    Variant("resilient", "resilient.yaml", SMALL),
    Variant("copied", "shadow.yaml", SMALL),
    Variant("handler", HANDLERS, Scenario("handler", "a typed handler", ("--path", "/quotes/5", *QUOTE))),
    Variant("async-handler", HANDLERS, Scenario("async", "an async one", ("--path", "/async/5", *QUOTE))),
)


def targets() -> dict[str, Peer]:
    """What can be counted; nginx to compare with, and to see that the method works."""
    alone = replace(
        nginx.PEER,
        command=(*nginx.PEER.command, "-g", "master_process off;"),
        name="nginx-counted",
    )
    ours = replace(tetrapylon.PLAIN, command=(*OURS, "{dir}/gateway.yaml"), name="tetrapylon-counted")
    return {"tetrapylon": ours, "nginx": alone}


def for_config(peer: Peer, config: str) -> Peer:
    if peer.folder != "tetrapylon":
        return peer
    return peer.with_config(config, log="access.log" if config == LOGGED else "")


def totals(directory: Path) -> int:
    """Instructions in all dumps that lie in a folder; takes them away, so that each counts once."""
    count = 0
    for path in directory.glob("callgrind.*"):
        found = re.search(r"^totals: (\d+)", path.read_text(), re.MULTILINE)
        count += int(found[1]) if found else 0
        path.unlink()
    return count


class Counted:
    """A gateway under callgrind; whatever processes it forks are counted with it."""

    def __init__(self, peer: Peer, upstream: int, load: Path, directory: Path) -> None:
        shutil.rmtree(directory, ignore_errors=True)
        self._directory = directory
        self._load = load
        valgrind = ("valgrind", "--tool=callgrind", "--instr-atstart=no")
        under = replace(
            peer,
            command=(*valgrind, "--callgrind-out-file={dir}/callgrind.%p", *peer.command),
            environment={**peer.environment, "PYTHONHASHSEED": "0", "PYTHONPATH": str(ROOT)},
        )
        program = Path(shutil.which(peer.program) or peer.program)
        self.gateway = Gateway(under, program, upstream, directory, limit=START_LIMIT)
        self._tell("instrumentation on")

    def _tell(self, command: str) -> None:
        for pid in tree(self.gateway.pid):
            call("vgdb", f"--pid={pid}", *command.split())

    def _count(self, scenario: Scenario, requests: int, port: int) -> int:
        sample = Loading(
            self._load, port, scenario, seconds=PATIENCE, connections=1, requests=requests
        ).result()
        if sample.failures or sample.answered != requests:
            raise RuntimeError(
                f"{scenario.name}: {sample.answered} of {requests} answered, {sample.failures} wrong"
            )
        self._tell("dump")
        return totals(self._directory)

    def per_request(
        self, scenario: Scenario, short: int = SHORT, long: int = LONG, port: int | None = None
    ) -> float:
        """After a first load, which fills what is remembered from one request to the next.

        `port` is one that leads to the gateway; None: its own.
        """
        port = port or self.gateway.port
        self._count(scenario, short, port)
        few = self._count(scenario, short, port)
        return (self._count(scenario, long, port) - few) / (long - short)

    def close(self) -> None:
        self.gateway.close()


def count(peer: Peer, build: Path) -> dict[str, float]:
    """Instructions per request of each variant that the target has."""
    variants = [one for one in VARIANTS if peer.folder == "tetrapylon" or one.config == "gateway.yaml"]
    load = compile_tool("load", build)
    found = {}
    with Upstream(compile_tool("upstream", build)) as upstream:
        for config in dict.fromkeys(one.config for one in variants):
            directory = build / "callgrind" / peer.name
            values = {"SECOND": str(upstream.port), "SAMPLE": "100%", "AGAIN": "0%"}
            under = replace(for_config(peer, config), values=values)
            counted = Counted(under, upstream.port, load, directory)
            try:
                for one in variants:
                    if one.config == config:
                        found[one.name] = counted.per_request(one.scenario)
            finally:
                counted.close()
            if counted.gateway.logged() == 0:
                raise RuntimeError(f"{config}: nothing stands in the access log, so logging was not counted")
    return found


def count_policies(peer: Peer, build: Path, names: frozenset[str]) -> dict[str, float]:
    """Instructions that policies add to a request."""
    load = compile_tool("load", build)
    with Upstream(compile_tool("upstream", build)) as upstream:
        directory = build / "callgrind" / peer.name
        certs = certificates(build / "certificates")
        peer = replace(for_config(peer, policies.CONFIG), values={"CERTS": str(certs)})
        counted = Counted(peer, upstream.port, load, directory)
        pair = ("ca.pem", "client.pem", "client.key")
        try:
            with Bridge(directory / "tls.sock", *(str(certs / name) for name in pair)) as bridge:

                def of(counting: policies.Counting) -> float:
                    port = bridge.port if counting.secure else None
                    return counted.per_request(counting.scenario(), FEW, MORE, port)

                return {**policies.costs(of, names)}
        finally:
            counted.close()


def certificates(directory: Path) -> Path:
    """An authority's, one of the gateway and one of a client, in files."""
    import trustme

    directory.mkdir(parents=True, exist_ok=True)
    ca = trustme.CA()
    ca.cert_pem.write_to_path(directory / "ca.pem")
    for name, issued in (
        ("server", ca.issue_cert("api.example.com")),
        ("client", ca.issue_cert("mobile@example.com", common_name="mobile")),
    ):
        issued.private_key_pem.write_to_path(directory / f"{name}.key")
        for number, pem in enumerate(issued.cert_chain_pems):
            pem.write_to_path(directory / f"{name}.pem", append=number > 0)
    return directory


def judge(name: str, counted: float, budget: int | None, tolerance: float, margin: int) -> tuple[str, bool]:
    """A line of the table, and whether the budget holds: by the share `tolerance`, or by `margin`."""
    if budget is None:
        return f"{name:16} {counted:9,.0f}          no budget: set one with --update", False
    allowed = max(tolerance * budget, margin)
    change = counted - budget
    word = "OVER" if change > allowed else "lower the budget" if change < -allowed else "ok"
    return f"{name:16} {counted:9,.0f} {budget:9,} {change:+8,.0f}  {word}", change <= allowed


def judged(table: str, name: str, counted: float) -> tuple[str, bool]:
    """As `judge`, by what budgets.toml has."""
    budgets = tomllib.loads(BUDGETS.read_text())
    few = table == "policies"
    margin, tolerance = (policies.MARGIN, policies.TOLERANCE) if few else (0, budgets["tolerance"])
    return judge(name, counted, budgets[table].get(name), tolerance, margin)


def updated(text: str, counted: dict[str, dict[str, float]]) -> str:
    """budgets.toml with the counted numbers in it; the comments stay."""
    for table, values in counted.items():
        head, header, rest = text.partition(f"[{table}]\n")
        numbers, gap, rest = rest.partition("\n\n")
        known = {**tomllib.loads(numbers), **{name: round(value) for name, value in values.items()}}
        lines = "".join(f"{name} = {value}\n" for name, value in known.items())
        text = head + header + lines + ("\n" + rest if gap else "")
    return text


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.budgets", description=__doc__)
    parser.add_argument("--target", choices=list(targets()), default="tetrapylon")
    parser.add_argument("--update", action="store_true", help="write what was counted into budgets.toml")
    parser.add_argument("--part", choices=("core", "policies"), help="count these alone")
    parser.add_argument("policies", nargs="*", choices=[[], *(each.name for each in policies.COUNTED)])
    options = parser.parse_args()
    began = time.monotonic()
    peer, build = targets()[options.target], ROOT / "build" / "bench"
    counted: dict[str, dict[str, float]] = {}
    try:
        if not (shutil.which("valgrind") and shutil.which("vgdb")):
            apt_install("valgrind")
        if options.part != "policies" and not options.policies:
            counted["instructions"] = count(peer, build)
        if options.part != "core" and options.target == "tetrapylon":
            counted["policies"] = found = count_policies(peer, build, frozenset(options.policies))
            over = frozenset(name for name, value in found.items() if not judged("policies", name, value)[1])
            if over:
                # A machine that is slow or busy has more of the loop's own timers in the few requests.
                again = count_policies(peer, build, over)
                found.update({name: min(found[name], value) for name, value in again.items()})
    except (Unavailable, RuntimeError, OSError, subprocess.SubprocessError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"instructions per request of {options.target}, counted in {time.monotonic() - began:.0f} s")
    if options.target != "tetrapylon":
        for name, value in counted["instructions"].items():
            print(f"{name:14} {value:9,.0f}")
        return 0
    if options.update:
        BUDGETS.write_text(updated(BUDGETS.read_text(), counted))
    budgets = tomllib.loads(BUDGETS.read_text())
    holds = True
    for table, values in counted.items():
        print(f"\n{table:16} {'counted':>9} {'budget':>9}")
        for name, value in values.items():
            line, fine = judged(table, name, value)
            holds &= fine
            print(line)
    counts = counted.get("instructions", {})
    for name, share in budgets["over_small"].items() if counts else ():
        more = counts[name] / counts["small"] - 1
        holds &= more <= share
        print(f"{name} over small {more:+.1%}, at most {share:+.0%}  {'ok' if more <= share else 'OVER'}")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
