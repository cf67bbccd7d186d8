"""The admin page in a real browser, before a real gateway with real traffic."""

import contextlib
import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.test_reload import ADMIN, order, reload
from tests.harness import Gateway, Upstream, answers, eventually
from tests.harness.browser import browser, needs_browser
from tests.harness.wire import Truncated

pytestmark = needs_browser

TOKEN = "a-token-that-nobody-guesses"
EVIL = "<img src=x onerror=alert(1)>"
NOWHERE = "http://127.0.0.1:9"


def config(upstream: Upstream, **more: Any) -> dict[str, Any]:
    return {
        **ADMIN,
        "server": {"workers": 2},
        "upstreams": {
            "shop": {
                "targets": [upstream.url, NOWHERE],
                "health": {"active": {"path": "/", "interval": "200ms", "timeout": "200ms", "unhealthy": 1}},
            },
            "<b>users</b>": {"targets": [NOWHERE]},
        },
        "routes": [
            {"path": "/items/{id:int}", "methods": ["GET"], "upstream": "shop"},
            {"path": "/users", "upstream": "<b>users</b>", "name": EVIL},
        ],
        **more,
    }


@contextmanager
def traffic(gateway: Gateway) -> Iterator[None]:
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            # A worker that is killed takes its requests with it.
            with contextlib.suppress(OSError, Truncated), gateway.client() as client:
                for path in ("/items/7", "/items/8", "/users", "/nowhere"):
                    client.ask("GET", path)
            over.wait(0.02)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    with Upstream(answers.ok) as upstream, Gateway(config(upstream)) as gateway, traffic(gateway):
        gateway.write(config(upstream))
        yield gateway


@pytest.fixture(scope="module")
def page(gateway: Gateway) -> Iterator[Any]:
    with browser() as driver:
        driver.get(f"http://{gateway.admin}/")
        yield driver


def text(page: Any, selector: str) -> str:
    found: str = page.execute_script(
        "return document.querySelector(arguments[0])?.textContent ?? ''", selector
    )
    return found


def rows(page: Any, table: str) -> list[list[str]]:
    found: list[list[str]] = page.execute_script(
        "return [...document.querySelectorAll(`#${arguments[0]} tbody tr`)].map("
        "  (row) => [...row.cells].map((cell) => cell.textContent))",
        table,
    )
    return found


def shows(page: Any, selector: str, word: str) -> None:
    eventually(lambda: word in text(page, selector), f"{word!r} in {selector}", within=30)


def row(page: Any, table: str, first: str) -> list[str]:
    found = [each for each in rows(page, table) if each[0].startswith(first)]
    assert len(found) == 1, rows(page, table)
    return found[0]


class TestWhatItShows:
    def test_traffic_by_route(self, page: Any) -> None:
        eventually(
            lambda: any(each[1][0] in "123456789" for each in rows(page, "routes")), "a rate", within=30
        )
        shown = {each[0]: each for each in rows(page, "routes")}
        assert set(shown) == {"GET /items/{id:int}", EVIL, "(no route)"}
        assert float(shown["GET /items/{id:int}"][1]) > 0
        assert (shown[EVIL][2], shown["(no route)"][3]) == ("100.0%", "100.0%")

    def test_names_are_text_and_no_markup(self, page: Any) -> None:
        shows(page, "#routes", EVIL)
        shows(page, "#upstreams", "<b>users</b>")
        assert page.execute_script("return document.querySelectorAll('img, table b').length") == 0

    def test_quantiles_of_the_whole_and_of_the_gateways_share(self, page: Any) -> None:
        shows(page, "#tiles", "p99")
        for title in ("Time, all of it", "Time, the gateway's share"):
            tile = page.execute_script(
                "return [...document.querySelectorAll('.tile')].find("
                "  (each) => each.firstChild.textContent === arguments[0]).querySelector('dl').innerText",
                title,
            )
            assert [word for word in tile.split() if word.startswith("p")] == ["p50", "p95", "p99"]
            assert "s" in tile.replace("p50", "")

    def test_what_is_wrong_now_and_since_when(self, page: Any) -> None:
        shows(page, "#problems", "shop: 127.0.0.1:9: unhealthy since ")
        shows(page, "#problems", "upstream connect in the last")
        shows(page, "#problems", f"Route {EVIL}: 100.0% answered with 5xx")
        assert page.title.startswith("(")

    def test_errors_by_reason(self, page: Any) -> None:
        eventually(lambda: len(rows(page, "errors")) == 2, "two reasons", within=30)
        assert row(page, "errors", "upstream connect")[1] == "502"
        assert row(page, "errors", "not found")[1] == "404"

    def test_upstreams_and_their_health(self, page: Any) -> None:
        eventually(lambda: row(page, "upstreams", "shop · 127.0.0.1:9")[1] == "unhealthy", "it is", within=30)
        whole = next(each for each in rows(page, "upstreams") if each[0] == "shop")
        assert whole[1] == "1 of 2 up"
        assert int(whole[3]) >= 1

    def test_workers(self, page: Any, gateway: Gateway) -> None:
        eventually(lambda: len(rows(page, "workers")) == 2, "both", within=30)
        assert {each[1] for each in rows(page, "workers")} == {"serving"}


class TestWhatHappens:
    """Each leaves the gateway as others expect it."""

    def test_a_reload_and_its_diff(self, page: Any, gateway: Gateway) -> None:
        before = gateway.config_path.read_text()
        changed = json.loads(before)
        changed["routes"].append({"path": "/new", "respond": {"body": "x"}})
        reload(gateway, changed)
        shows(page, "#events", "reload applied (POST /reload): routes: 1 added")
        shows(page, "#reloads .diff", "+ route * /new")
        gateway.config_path.write_text(before)
        order(gateway, "/reload")
        shows(page, "#reloads .diff", "- route * /new")

    def test_a_reload_that_is_refused(self, page: Any, gateway: Gateway) -> None:
        before = gateway.config_path.read_text()
        gateway.write("routes: [{path: /, respnd: {}}]\n")
        gateway.signal(signal.SIGHUP)
        shows(page, "#problems", "unknown key; did you mean `respond`?")
        shows(page, "#events", "reload refused (SIGHUP)")
        gateway.config_path.write_text(before)
        gateway.signal(signal.SIGHUP)
        eventually(lambda: "Reload refused" not in text(page, "#problems"), "it is past", within=30)

    def test_a_worker_that_dies(self, page: Any, gateway: Gateway) -> None:
        os.kill(gateway.workers[0], signal.SIGKILL)
        shows(page, "#problems", "1 processes died and were replaced")
        shows(page, "#events", "1 of the gateway's processes died and were replaced")


class TestByKeyboard:
    def test_tables_are_sorted_by_their_heads(self, page: Any) -> None:
        shows(page, "#routes", EVIL)
        head = page.find_element("css selector", "#routes th button")
        head.send_keys("\ue007")  # Enter
        first = page.find_element("css selector", "#routes th")
        assert first.get_attribute("aria-sort") == "ascending"
        names = [each[0] for each in rows(page, "routes")]
        page.switch_to.active_element.send_keys(" ")
        assert first.get_attribute("aria-sort") == "descending"
        assert [each[0] for each in rows(page, "routes")] == names[::-1]
        assert page.switch_to.active_element == head, "the focus stays where it was"

    def test_everything_is_reached_in_the_order_of_reading(self, page: Any) -> None:
        page.refresh()
        shows(page, "#upstreams", "shop")
        page.find_element("css selector", "body").send_keys("\ue004")  # Tab
        reached = []
        for _ in range(60):
            reached.append(
                page.execute_script(
                    "const e = document.activeElement; return e.id || e.name || e.closest('table')?.id"
                    " || e.className || e.tagName"
                )
            )
            page.switch_to.active_element.send_keys("\ue004")
        order = list(dict.fromkeys(reached))
        wanted = ["skip", "window", "pause", "errors", "filter", "routes", "upstreams", "workers"]
        assert [each for each in order if each in wanted] == wanted

    def test_a_route_is_found(self, page: Any) -> None:
        word = page.find_element("css selector", "#filter")
        word.send_keys("items")
        assert [each[0] for each in rows(page, "routes")] == ["GET /items/{id:int}"]
        word.clear()

    def test_it_stands_still_when_told_to(self, page: Any) -> None:
        button = page.find_element("css selector", "#pause")
        button.send_keys(" ")
        assert button.get_attribute("aria-pressed") == "true"
        shows(page, "#fresh", "as of ")
        button.send_keys(" ")
        eventually(lambda: text(page, "#fresh") == "", "it goes on", within=30)


class TestWhatItKeepsTo:
    def test_nothing_is_asked_for_elsewhere(self, page: Any, gateway: Gateway) -> None:
        sent = [json.loads(each["message"])["message"] for each in page.get_log("performance")]
        asked = [
            each["params"]["request"]["url"]
            for each in sent
            if each["method"] == "Network.requestWillBeSent"
            and not each["params"]["documentURL"].startswith("chrome:")  # the browser's own first page
        ]
        assert any(url.endswith("/live?since=0") for url in asked)
        own = (f"http://{gateway.admin}/", "data:")
        assert [url for url in asked if not url.startswith(own)] == []

    def test_the_browser_complains_of_nothing(self, page: Any) -> None:
        assert [each["message"] for each in page.get_log("browser") if each["level"] != "INFO"] == []

    def test_no_script_runs_but_its_own(self, gateway: Gateway) -> None:
        with browser() as driver:
            driver.get(f"http://{gateway.admin}/")
            driver.execute_script(
                "const made = document.createElement('script'); "
                "try { made.textContent = 'window.ran = 1'; document.body.append(made); } catch {}"
                "try { document.body.innerHTML += '<img src=x onerror=\"window.ran = 1\">'; } catch {}"
            )
            assert driver.execute_script("return window.ran ?? null") is None

    @pytest.mark.parametrize(("dark", "paper"), [(True, "rgb(15, 19, 23)"), (False, "rgb(255, 255, 255)")])
    def test_a_phone_shows_it_without_scrolling_sideways(
        self, gateway: Gateway, dark: bool, paper: str
    ) -> None:
        with browser(width=360, height=740, dark=dark) as driver:
            driver.get(f"http://{gateway.admin}/")
            shows(driver, "#upstreams", "shop")
            assert driver.execute_script("return document.documentElement.scrollWidth") <= 360
            assert driver.execute_script("return getComputedStyle(document.body).backgroundColor") == paper


def test_the_token_is_asked_for_and_kept_in_the_tab_alone() -> None:
    with Upstream(answers.ok) as upstream:
        admin = {"admin": {"listen": "127.0.0.1:0", "token": TOKEN}}
        with Gateway(config(upstream, **admin)) as gateway, browser() as page:
            page.get(f"http://{gateway.admin}/")
            field = page.find_element("css selector", "#token")
            eventually(field.is_displayed, "it asks", within=30)
            assert not page.find_element("css selector", "#main").is_displayed()
            field.send_keys("wrong\ue007")
            shows(page, "#refused", "This is not the token.")
            field.send_keys(f"{TOKEN}\ue007")
            shows(page, "#upstreams", "shop")
            assert not field.is_displayed()
            page.refresh()
            shows(page, "#upstreams", "shop")
            kept = page.execute_script("return [localStorage.length, document.cookie, location.href]")
            assert kept == [0, "", f"http://{gateway.admin}/"]


def test_a_gateway_that_has_gone_is_told_of() -> None:
    with Upstream(answers.ok) as upstream, browser() as page:
        with Gateway(config(upstream)) as gateway:
            page.get(f"http://{gateway.admin}/")
            shows(page, "#upstreams", "shop")
        shows(page, "#fresh", "No answer")
        shows(page, "#fresh", "what is shown is")


def test_a_browser_at_another_name_gets_nothing(gateway: Gateway) -> None:
    """DNS rebinding, as a browser does it: a name from elsewhere that leads to this machine."""
    assert gateway.admin is not None
    port = gateway.admin.rpartition(":")[2]
    with browser(flags=[f"--host-resolver-rules=MAP evil.test 127.0.0.1:{port}"]) as page:
        page.get("http://evil.test/")
        assert "is not a name of this machine" in text(page, "body")


def test_a_move_and_what_its_shadow_has_found_are_shown_where_there_is_one(tmp_path: Path) -> None:
    new = answers.raw(answers.response(b"other"))
    with Upstream(answers.ok) as one, Upstream(new) as two:
        config = {
            **ADMIN,
            "upstreams": {"old": {"targets": [one.url]}, "new": {"targets": [two.url]}},
            "routes": [
                {
                    "path": "/{rest:path}",
                    "name": EVIL,
                    "upstream": "old",
                    "shadow": {"to": "new", "sample": "100%"},
                    "move": {"hold": "1h"},
                }
            ],
            "diff": {"file": str(tmp_path / "d.sqlite"), "moves": str(tmp_path / "m.sqlite")},
        }
        with Gateway(config) as gateway, gateway.client() as client, browser() as driver:
            client.ask("GET", "/a")
            driver.get(f"http://{gateway.admin}/")
            shows(driver, "#moves", "proposed")
            shows(driver, "#problems", f"of {EVIL} waits for approval: 1% to new")
            shows(driver, "#differences", "GET /a")
            shows(driver, "#compared", "1 compared, 1 different")
            assert driver.execute_script("return document.querySelectorAll('img, table b').length") == 0
