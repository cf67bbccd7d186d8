"""`python -m benchmarks.report`: the page, its picture and the README's table, from results.json."""

import argparse
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from textwrap import fill

from .e2e import summary
from .e2e.bars import bars
from .e2e.load import BUSY, OWN, SCENARIOS, SMALL
from .e2e.results import Results, System
from .e2e.summary import Spread
from .figures import figures
from .picture import Row, draw, number

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "e2e" / "results.json"
VARIANTS = ("tetrapylon-log", "flask-4")
"""Not in the README's table: a request costs them nearly what it costs the same system without the suffix."""
BEGIN, END = "<!-- benchmarks:begin -->", "<!-- benchmarks:end -->"
METHOD = Path(__file__).with_name("method.md")


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Markdown; all columns but the first to the right."""
    head = list(head)
    lines = [head, ["---", *("---:" for _ in head[1:])], *(list(row) for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def cell(value: Spread | None, show: Callable[[float], str], *, quiet: bool = False) -> str:
    """A median and, unless `quiet`, from where to where it ranged."""
    if value is None:
        return "-"
    if quiet or value.count < 2:
        return show(value.median)
    return f"{show(value.median)} ({show(value.low)}-{show(value.high)})"


def times(value: float) -> str:
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def whole(value: float) -> str:
    return f"{value:,.0f}"


def milliseconds(value: float) -> str:
    """From microseconds."""
    return f"{value / 1000:.2f}" if value < 100_000 else f"{value / 1000:,.0f}"


def hundredths(value: float) -> str:
    return f"{value:.2f}"


def megabytes(value: float) -> str:
    return f"{value / 1e6:.1f}"


class Report:
    def __init__(self, results: Results) -> None:
        self.results = results
        self.systems = sorted((one for one in results.systems if one.compared), key=self._order)
        self.gateways = [one for one in self.systems if one.name != "direct"]

    def _order(self, system: System) -> float:
        cost = summary.values(self.results, system.name, SMALL.name, summary.cpu)
        return cost.median if cost else float("inf")

    def ratios(self) -> str:
        def against(system: System, base: str) -> str:
            return cell(summary.ratio(self.results.runs, SMALL.name, summary.cpu, system.name, base), times)

        def speed(system: System, base: str) -> str:
            found = summary.throughput_ratio(self.results.runs, SMALL.name, system.name, base)
            return cell(found, times)

        head = ["", "CPU / nginx", "CPU / Go", "CPU / Flask", "throughput / nginx", "throughput / Go"]
        return table(
            head,
            (
                [
                    self._name(one),
                    against(one, "nginx"),
                    against(one, "go"),
                    against(one, "flask"),
                    speed(one, "nginx"),
                    speed(one, "go"),
                ]
                for one in self.gateways
            ),
        )

    def plain(self) -> str:
        head = ["", "CPU a request, us", "requests/s on one core", "rounds that count", "failed"]
        bare = summary.values(self.results, "direct", SMALL.name, summary.rate)
        rows = [["no gateway", "-", cell(bare, whole), "-", "-"]] if bare else []
        for one in self.gateways:
            runs = summary.of(self.results.runs, one.name, SMALL.name)
            sent = summary.requests(self.results, one.name)
            rows.append(
                [
                    self._name(one),
                    cell(summary.values(self.results, one.name, SMALL.name, summary.cpu), number),
                    cell(summary.throughput(self.results, one.name, SMALL.name), whole),
                    f"{sum(run.sample.saturated for run in runs)} of {len(runs)}",
                    f"{summary.failures(self.results, one.name)} of {sent:,}",
                ]
            )
        return table(head, rows)

    def scenarios(self) -> str:
        return table(
            ["CPU a request, us", *(scenario.title for scenario in SCENARIOS)],
            (
                [
                    self._name(one),
                    *(
                        cell(summary.values(self.results, one.name, scenario.name, summary.cpu), number)
                        for scenario in SCENARIOS
                    ),
                ]
                for one in self.gateways
            ),
        )

    def latency(self) -> str:
        def at(system: System, scenario: str) -> list[str]:
            runs = summary.of(self.results.runs, system.name, scenario)
            if runs and sum(run.sample.kept_up for run in runs) * 2 <= len(runs):
                reached = summary.values(self.results, system.name, scenario, summary.rate)
                return [f"cannot: {cell(reached, whole, quiet=True)}/s", "-"]
            return [
                cell(summary.values(self.results, system.name, scenario, metric), milliseconds)
                for metric in (summary.p50, summary.p99)
            ]

        half, low = whole(float(self.results.meta["half_rate"])), whole(float(self.results.meta["low_rate"]))
        head = ["latency, ms", f"p50 at {half}/s", "p99", f"p50 at {low}/s", "p99"]
        direct = [one for one in self.systems if one.name == "direct"]
        rows = ([self._name(one), *at(one, "half"), *at(one, "low")] for one in direct + self.gateways)
        return table(head, rows)

    def footprint(self) -> str:
        head = [
            "",
            "memory under load, MB (RSS)",
            "an idle connection, bytes",
            "start, s",
            "deploy: install + start, s",
        ]
        rows = []
        for one in self.gateways:
            prints = [row for row in self.results.footprints if row.system == one.name]
            deploys = [row for row in self.results.deployments if row.system == one.name]
            install = summary.spread(row.install for row in deploys)
            total = summary.spread(row.install + row.start for row in deploys)
            pss, rss = (
                summary.spread(row.pss for row in prints),
                summary.spread(row.rss for row in prints),
            )
            rows.append(
                [
                    self._name(one),
                    f"{cell(pss, megabytes, quiet=True)} ({cell(rss, megabytes, quiet=True)})",
                    cell(summary.spread(row.per_connection for row in prints), whole),
                    cell(
                        summary.spread(row.seconds for row in self.results.starts if row.system == one.name),
                        hundredths,
                    ),
                    f"{cell(total, hundredths)}, {cell(install, hundredths, quiet=True)} of it install"
                    if deploys
                    else "-",
                ]
            )
        return table(head, rows)

    def bars(self) -> str:
        words = {True: "met", False: "**not met**", None: "-"}
        return table(
            ["bar", "met", "measured"],
            ([bar.bar, words[bar.met], bar.measured] for bar in bars(self.results)),
        )

    def versions(self) -> str:
        return "".join(f"- {one.title}: {one.version}\n" for one in self.gateways)

    def picture(self) -> str:
        rows = []
        for one in self.gateways:
            cost = summary.values(self.results, one.name, SMALL.name, summary.cpu)
            if cost is None:
                continue
            ratio = summary.ratio(self.results.runs, SMALL.name, summary.cpu, one.name, "nginx")
            note = f"{times(ratio.median)} x nginx" if ratio and one.name != "nginx" else ""
            rows.append(Row(one.title, cost, note, one.name.startswith("tetrapylon")))
        subtitle = "203 bytes of JSON, 64 connections, gateway on one core; logarithmic, less is better"
        return draw(rows, "CPU time per proxied request, microseconds", subtitle)

    def page(self) -> str:
        meta = {
            key: f"{value:,.0f}" if isinstance(value, int | float) and value >= 1000 else value
            for key, value in self.results.meta.items()
        }
        memory_date = meta.get("memory_date")
        sections = {
            "anew": f" (measured anew on {memory_date})" if memory_date else "",
            "ratios": self.ratios(),
            "plain": self.plain(),
            "scenarios": self.scenarios(),
            "latency": self.latency(),
            "footprint": self.footprint(),
            "bars": self.bars(),
            "versions": self.versions(),
        }
        return METHOD.read_text().format(**meta, **sections, busy=f"{BUSY:.0%}", own=f"{OWN:.0%}")

    def short(self) -> str:
        """For the README: the picture, the main scenario in a few columns, and what was missed."""
        meta = self.results.meta
        low = whole(float(meta["low_rate"]))
        head = [
            "",
            "CPU a request, us",
            "CPU / nginx",
            "requests/s on one core",
            f"p99 at {low}/s, ms",
            "memory, MB",
        ]
        rows = []
        for one in self.gateways:
            if one.name in VARIANTS:
                continue
            ratio = summary.ratio(self.results.runs, SMALL.name, summary.cpu, one.name, "nginx")
            p99 = summary.values(self.results, one.name, "low", summary.p99)
            pss = summary.spread(row.pss for row in self.results.footprints if row.system == one.name)
            rows.append(
                [
                    self._name(one),
                    cell(summary.values(self.results, one.name, SMALL.name, summary.cpu), number, quiet=True),
                    cell(ratio, times, quiet=True),
                    cell(summary.throughput(self.results, one.name, SMALL.name), whole, quiet=True),
                    cell(p99, milliseconds, quiet=True),
                    cell(pss, megabytes, quiet=True),
                ]
            )
        said = [
            f"Plain HTTP/1.1 proxying over loopback on {meta['cores']} cores, one of them the gateway's."
            f" Medians of {meta['rounds']} interleaved rounds, ratios taken within a round. {self.missed()}",
            "[All results](docs/benchmarks.md) have the spread, the latency under load and the method.",
            "`make bench` repeats them on your machine.",
        ]
        lines = "\n".join(fill(each, 118, break_on_hyphens=False) for each in said)
        return f"![CPU time per proxied request](docs/benchmarks.svg)\n\n{table(head, rows)}\n{lines}"

    def missed(self) -> str:
        """A sentence on the bars that were not met."""
        judged = [bar for bar in bars(self.results) if bar.met is not None]
        missed = [f"{bar.bar} (measured: {bar.measured.partition(' (')[0]})" for bar in judged if not bar.met]
        if not missed:
            return f"Tetrapylon meets all of its {len(judged)} targets."
        return f"Tetrapylon misses {len(missed)} of its {len(judged)} targets: {'; '.join(missed)}."

    @staticmethod
    def _name(system: System) -> str:
        return f"**{system.title}**" if system.name.startswith("tetrapylon") else system.title


def between(text: str, inside: str) -> str:
    """`text` with what stands between the two markers replaced. Raises ValueError unless both are there."""
    before, begun, rest = text.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not (begun and ended):
        raise ValueError(f"no {BEGIN} ... {END}")
    return f"{before}{BEGIN}\n{inside}\n{END}{after}"


def write(results: Path, root: Path = ROOT) -> list[Path]:
    """Writes what is generated from the results; returns the files. One without markers stays."""
    report = Report(Results.load(results))
    docs = root / "docs"
    docs.mkdir(exist_ok=True)
    files = {docs / "benchmarks.md": report.page(), docs / "benchmarks.svg": report.picture()}
    readme = root / "README.md"
    if BEGIN in readme.read_text():
        files[readme] = between(readme.read_text(), report.short())
    assess = root / "src" / "tetrapylon" / "assess"
    if assess.is_dir():
        files[assess / "measured.json"] = figures(report.results)
    for path, text in files.items():
        path.write_text(text)
    return list(files)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--root", type=Path, default=ROOT, help="where docs/ and README.md are")
    options = parser.parse_args()
    if not options.results.exists():
        print(f"{options.results}: no such file; `make bench` writes it", file=sys.stderr)
        return 2
    for path in write(options.results, options.root):
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
