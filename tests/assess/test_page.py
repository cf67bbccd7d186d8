"""The page: whole in itself, harmless whatever the logs hold, readable in light and dark and on a phone."""

import json
import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.assess.simulate import System, combined, constant, gunicorn_split, lognormal, nginx
from tests.assess.test_people import NOW
from tests.assess.test_verdict import TEAM, repository_of
from tests.harness.browser import browser, needs_browser
from tetrapylon.assess import Assessment, Present, assess
from tetrapylon.assess.report.page import to_html
from tetrapylon.cli import main

PRICED = {"core_price": 25.0, "memory_price": 3.0, "memory": 4e9, "cores": 4.0, "workers": 4, "threads": 8}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Assessment:
    folder = tmp_path_factory.mktemp("page")
    log = folder / "access.log"
    system = System(lognormal(7, 0.3), lognormal(38, 0.3), rate=20.0)
    log.write_text("".join(f"{gunicorn_split(*each)}\n" for each in system.requests(6000, 1)))
    repository = repository_of(folder / "shop", TEAM)
    present = Present(like="flask", growth="8%/month", repositories=[repository], **PRICED)  # type: ignore[arg-type]
    return assess([str(log)], present, now=NOW)


class Elements(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_page_asks_for_nothing_and_runs_nothing(told: Assessment) -> None:
    page = to_html(told)
    elements = Elements(page)
    assert not {"script", "img", "iframe", "object", "embed", "form", "base", "use", "image"} & {
        tag for tag, _ in elements.found
    }
    for tag, attributes in elements.found:
        assert not [
            name for name in attributes if name.startswith("on") or name in ("src", "style", "action")
        ]
        if "href" in attributes:
            assert (tag, attributes["href"]) == ("link", "data:,")
    assert not re.search(r"url\(|@import|https?://", page)


def test_its_style_is_the_only_one_that_is_allowed(told: Assessment) -> None:
    page = to_html(told)
    style = page.partition("<style>")[2].partition("</style>")[0]
    digest = b64encode(sha256(style.encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'sha256-{digest}'" in page


def test_it_has_all_that_the_text_has(told: Assessment) -> None:
    words = " ".join(Elements(to_html(told)).text)
    for part in (
        "Leave it alone.",
        "Is the system broken?",
        "Does a change pay?",
        "Who maintains it?",
        "What is its own is the most that any faster gateway could win.",
        "Growth of 8% a month (as told) gets there in",
        "The present one is like Flask gateway, 1 worker.",
        "6 authors of 18 commits within a year",
        "How sure is this?",
        "What was read",
    ):
        assert part in words


def test_every_plot_says_what_it_shows(told: Assessment) -> None:
    labels = [
        attributes["aria-label"] or "" for tag, attributes in Elements(to_html(told)).found if tag == "svg"
    ]
    assert len(labels) == 6
    assert all(len(label) > 20 for label in labels)


def test_bars_are_as_long_as_what_they_stand_for(told: Assessment) -> None:
    assert told.split is not None
    page = to_html(told)
    widths = {
        kind: [float(each) for each in re.findall(rf'width="([\d.]+)" height="24.0" class="{kind}"', page)][
            :3
        ]
        for kind in ("upstream", "own")
    }
    for row, each in enumerate(told.split.quantiles):
        assert each.share is not None
        whole = widths["upstream"][row] + widths["own"][row]
        assert widths["own"][row] / whole == pytest.approx(each.share.value, abs=0.002)


@pytest.mark.parametrize("kind", ["no times", "repository alone", "constant times", "one minute"])
def test_what_is_not_known_leaves_no_hole(tmp_path: Path, kind: str) -> None:
    if kind == "repository alone":
        told = assess([], Present(repositories=[repository_of(tmp_path / "shop", TEAM)]), now=NOW)
    else:
        style = {"no times": combined}.get(kind, nginx)
        system = System(constant(7), constant(30), rate=200.0 if kind == "one minute" else 20.0)
        log = tmp_path / "log"
        log.write_text("".join(f"{style(*each)}\n" for each in system.requests(3000, 1)))
        told = assess([str(log)])
    page = to_html(told)
    assert not re.search(r"\b(nan|inf|None)\b", page)
    assert "<h1>" in page


def test_what_logs_and_repositories_hold_is_text(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>\x1b[31m"
    log = tmp_path / f"{evil.replace('/', '')}.log"
    log.write_text(
        "".join(f"{nginx(*each)}\n" for each in System(constant(7), constant(30)).requests(300, 1))
    )
    repository = repository_of(tmp_path / "shop", {'a & "b" img onerror=c': ["app.py"]})
    page = to_html(assess([str(log)], Present(repositories=[repository]), now=NOW))
    assert {tag for tag, _ in Elements(page).found}.isdisjoint({"script", "img"})
    assert "\x1b" not in page
    assert "a &amp; &quot;b&quot; img onerror=c made 100%" in page


def test_command_writes_it_to_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log, page = tmp_path / "log", tmp_path / "page.html"
    log.write_text(
        "".join(f"{nginx(*each)}\n" for each in System(constant(7), constant(30)).requests(300, 1))
    )
    assert main(["assess", str(log), "--format", "html", "-o", str(page)]) == 0
    assert capsys.readouterr().out == f"wrote {page}\n"
    assert page.read_text().startswith("<!doctype html>")
    assert main(["assess", str(log), "-o", str(tmp_path / "nowhere" / "page.html")]) == 2
    assert "cannot be written: No such file or directory" in capsys.readouterr().err


@needs_browser
@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_browser_shows_it_without_a_complaint_or_a_request(
    told: Assessment, tmp_path: Path, width: int, dark: bool
) -> None:
    page = tmp_path / "page.html"
    page.write_text(to_html(told))
    with browser(width=width, dark=dark) as driver:
        driver.get(page.as_uri())
        assert driver.get_log("browser") == []
        sent = [json.loads(each["message"])["message"] for each in driver.get_log("performance")]
        asked = [
            each["params"]["request"]["url"]
            for each in sent
            if each["method"] == "Network.requestWillBeSent"
            and not each["params"]["documentURL"].startswith("chrome:")  # the browser's own first page
        ]
        assert page.as_uri() in asked
        assert [url for url in asked if url != page.as_uri() and not url.startswith("data:")] == []
        wide = driver.execute_script("return document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0
        paper, ink = driver.execute_script(
            "const s = getComputedStyle(document.body); return [s.backgroundColor, s.color]"
        )
        brightness = [sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in (paper, ink)]
        assert (brightness[0] < brightness[1]) == dark
        height = driver.execute_script(
            "return Math.min(...[...document.querySelectorAll('svg')].map(e => e.clientHeight))"
        )
        assert height > 30
