"""An assessment as one HTML page that asks for nothing from elsewhere and runs no script."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from html import escape
from importlib import resources

from tetrapylon.assess.report import plots
from tetrapylon.assess.report.text import (
    cost_rows,
    load_lines,
    log_lines,
    split_notes,
    split_rows,
    team_lines,
)
from tetrapylon.assess.result import Answer, Assessment
from tetrapylon.assess.wording import harmless

__all__ = ["to_html"]


def to_html(told: Assessment) -> str:
    style = resources.files("tetrapylon.assess.report").joinpath("page.css").read_text(encoding="utf-8")
    digest = b64encode(sha256(style.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    )
    body = "\n".join(_sections(told))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>Is the gateway worth replacing?</title>
<link rel="icon" href="data:,">
<style>{style}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""


def _sections(told: Assessment) -> Iterator[str]:
    yield "<h1>Is the gateway worth replacing?</h1>"
    if told.verdict is not None:
        yield f'<p class="advice">{_text(told.verdict.advice.capitalize())}.</p>'
        yield f"<p>{_text(told.verdict.why)}</p>"
        yield '<div class="answers">' + "".join(map(_answer, told.verdict.answers)) + "</div>"
    if told.split is not None:
        yield "<h2>The gateway's own part of users' time</h2>"
        yield from (
            _figure(plot) for plot in (plots.share_plot(told.split), plots.curve_plot(told.split)) if plot
        )
        if told.split.quantiles:
            yield _table(split_rows(told.split))
        yield _notes(split_notes(told.split))
    if told.load is not None:
        yield "<h2>Load and limits</h2>"
        drawn = [plots.traffic_plot(told.load, told.limits)]
        if told.limits is not None:
            drawn.append(plots.growth_plot(told.load, told.limits))
        yield from (_figure(plot) for plot in drawn if plot)
        yield _notes(load_lines(told.load, told.limits))
    if told.costs is not None:
        yield "<h2>Cores, memory and money by month</h2>"
        plot = plots.costs_plot(told.costs)
        if plot:
            yield _figure(plot)
        yield _table(cost_rows(told.costs))
        like = [f"The present one is like {told.costs.present}."] if told.costs.present else []
        yield _notes(
            [*like, *told.costs.notes, *([f"Figures: {told.costs.source}"] if told.costs.options else [])]
        )
    if told.team is not None:
        yield "<h2>Who knows the code</h2>"
        plot = plots.team_plot(told.team)
        if plot:
            yield _figure(plot)
        yield _notes(team_lines(told.team))
    if told.verdict is not None and told.verdict.unsure:
        yield "<h2>How sure is this?</h2>"
        yield _notes(told.verdict.unsure)
    if told.log is not None:
        yield "<h2>What was read</h2>"
        yield _notes(log_lines(told.log))
        if told.upstream_log is not None:
            yield _notes(log_lines(told.upstream_log))


def _answer(each: Answer) -> str:
    reasons = "".join(f"<li>{_text(reason)}</li>" for reason in each.because)
    answer = f"{each.answer[0].upper()}{each.answer[1:]}"
    return f"<section><h2>{_text(each.question)}</h2><p>{_text(answer)}.</p><ul>{reasons}</ul></section>"


def _figure(plot: str) -> str:
    label = plot.partition("<title>")[2].partition("</title>")[0]
    return f"<figure>{plot}<figcaption>{label}</figcaption></figure>"


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    head, *others = rows
    cells = "".join(f'<th scope="col">{_text(cell)}</th>' for cell in head)
    body = "".join(
        f'<tr><th scope="row">{_text(row[0])}</th>'
        + "".join(f"<td>{_text(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in others
    )
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="Table"><table>'
        f"<thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _notes(lines: Iterable[str]) -> str:
    items = "".join(f"<li>{_text(line.strip())}</li>" for line in lines)
    return f'<ul class="notes">{items}</ul>' if items else ""


def _text(text: str) -> str:
    return escape(harmless(text, 2000))
