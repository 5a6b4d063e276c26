"""The pages in a real browser: nothing leaves the machine, nothing is said to the console, Arabic turns the page."""

from __future__ import annotations

import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from app.launch import command

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--no-first-run",
    "--disable-component-update", "--disable-sync", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
]  # fmt: skip
DIRECTIONS = {"fr": "ltr", "ar": "rtl", "en": "ltr"}
MAP = "[data-testid=stDeckGlJsonChart] canvas"
SIZES = {"desktop": (1366, 768), "tablet": (820, 1180)}


class Watched:
    """A page with what it asked for and what it complained of."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.hosts: set[str] = set()
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(f"uncaught: {error}"))
        page.on("request", lambda request: self._asked(request.url))
        page.on("websocket", lambda socket: self._asked(socket.url))

    def _heard(self, message: Any) -> None:
        if message.type != "error":
            return
        # Opened at a page's own address, Streamlit first looks for its server beside that page and is told 404.
        if "404" in message.text and "/_stcore/" in str(message.location.get("url", "")):
            return
        self.complaints.append(message.text)

    def _asked(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("data", "blob"):
            self.hosts.add(parts.hostname or url)

    def check(self) -> None:
        """Fail when anything was said to the console or asked of another host."""
        assert self.complaints == []
        assert self.hosts == {"127.0.0.1"}


@pytest.fixture(scope="module")
def address(workspace: Path) -> Iterator[str]:
    if not CHROMIUM.exists():
        pytest.skip(f"no browser: {CHROMIUM} is absent")
    yield from serve(workspace)


def serve(root: Path) -> Iterator[str]:
    """Run the application on a free port for as long as it is needed."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(command(root, port, headless=True), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(200):
            assert server.poll() is None, "the server stopped"
            try:
                urllib.request.urlopen(f"{url}/_stcore/health", timeout=1).close()
                break
            except OSError:
                time.sleep(0.15)
        else:
            pytest.fail("the server does not answer")
        yield url
    finally:
        server.terminate()
        server.wait(timeout=20)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if not CHROMIUM.exists():
        pytest.skip(f"no browser: {CHROMIUM} is absent")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture
def watch(browser: Any, request: pytest.FixtureRequest) -> Iterator[Watched]:
    width, height = SIZES[getattr(request, "param", "desktop")]
    context = browser.new_context(viewport={"width": width, "height": height}, locale="en-GB")
    yield Watched(context.new_page())
    context.close()


def open_map(watch: Watched, url: str) -> None:
    watch.page.goto(url)
    watch.page.wait_for_selector(".ag-legend")
    watch.page.wait_for_selector(MAP)


def fits(watch: Watched) -> bool:
    """Whether the page is no wider than its window, whichever way it runs."""
    return bool(watch.page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


@pytest.mark.parametrize("watch", list(SIZES), indirect=True)
@pytest.mark.parametrize("language", list(DIRECTIONS))
def test_a_click_on_the_map_shows_the_field(watch: Watched, address: str, language: str, tmp_path: Path) -> None:
    open_map(watch, f"{address}/?lang={language}")
    root = watch.page.locator("html")
    assert root.get_attribute("dir") == DIRECTIONS[language]
    assert root.get_attribute("lang") == language
    assert watch.page.locator(".ag-badge").count() == 1
    watch.page.wait_for_timeout(800)  # the first frame
    box = watch.page.locator(MAP).last.bounding_box()
    columns = 7
    for i in range(2 * columns):  # fields lie on a loose grid: look along two rows until one is hit
        x = box["x"] + box["width"] * (0.3 + 0.4 * (i % columns) / columns)
        watch.page.mouse.click(x, box["y"] + box["height"] * (0.45 if i < columns else 0.55))
        watch.page.wait_for_timeout(500)
        if watch.page.locator(".ag-card").count():
            break
    watch.page.wait_for_selector(".ag-card")
    # On a slow machine two of the clicks may each have hit a field: the page is asked once it has come to rest.
    for _ in range(40):
        chosen = watch.page.locator(".st-key-field_search input").input_value()
        name = chosen.strip(" \u2068\u2069").split("·")[0].strip(" \u2068\u2069")
        shown = watch.page.locator(".ag-card h2").inner_text()
        if name in shown:
            break
        watch.page.wait_for_timeout(250)
    assert name in shown
    assert "field=p0" in watch.page.url
    assert f"lang={language}" in watch.page.url
    watch.page.screenshot(path=str(tmp_path / f"map_{language}.png"))
    assert fits(watch)
    watch.check()


@pytest.mark.parametrize("watch", list(SIZES), indirect=True)
@pytest.mark.parametrize("language", list(DIRECTIONS))
def test_a_field_shows_its_curves_and_reasons(watch: Watched, address: str, language: str, tmp_path: Path) -> None:
    watch.page.goto(f"{address}/field?lang={language}&field=p003")
    watch.page.wait_for_function(
        "document.querySelectorAll('.stVegaLiteChart canvas, .stVegaLiteChart svg').length >= 3"
    )
    assert watch.page.locator("html").get_attribute("dir") == DIRECTIONS[language]
    assert watch.page.locator(".ag-reasons li").count() == 3
    assert watch.page.locator(".ag-escalated li").count() == 2
    assert watch.page.locator(".ag-table tbody tr").count() == 7
    assert "<script>alert(1)</script>" in watch.page.locator(".ag-card h2").inner_text()
    watch.page.screenshot(path=str(tmp_path / f"field_{language}.png"))
    assert fits(watch)
    watch.check()


def test_the_keyboard_alone_reaches_a_field_and_its_page(watch: Watched, address: str) -> None:
    open_map(watch, f"{address}/?lang=en")
    search = watch.page.locator(".st-key-field_search input")
    search.focus()
    watch.page.keyboard.type("p007")
    watch.page.keyboard.press("Enter")
    watch.page.wait_for_selector(".ag-card")
    assert "p007" in watch.page.locator(".ag-card h2").inner_text()
    watch.page.locator(".st-key-open_field button").focus()
    watch.page.keyboard.press("Enter")
    watch.page.wait_for_selector(".ag-table")
    assert "p007" in watch.page.locator(".ag-card h2").inner_text()
    watch.check()


def test_the_language_switch_turns_the_page_and_keeps_the_field(watch: Watched, address: str) -> None:
    open_map(watch, f"{address}/?lang=fr&field=p001")
    watch.page.get_by_role("radio", name="العربية").click()
    watch.page.wait_for_function("document.documentElement.dir === 'rtl'")
    watch.page.wait_for_function("document.querySelector('.ag-head h1').innerText.startsWith('سهل')")
    watch.page.wait_for_selector(".ag-card")
    assert "lang=ar" in watch.page.url
    watch.page.get_by_role("radio", name="English").click()
    watch.page.wait_for_function("document.documentElement.dir === 'ltr'")
    watch.page.get_by_role("link", name="Field").click()
    watch.page.wait_for_selector(".ag-table")
    assert "Parcelle 1" in watch.page.locator(".ag-card h2").inner_text()
    assert watch.page.locator("html").get_attribute("lang") == "en"
    watch.check()


def test_an_empty_workspace_has_a_page_that_helps(watch: Watched, tmp_path: Path) -> None:
    for url in serve(tmp_path / "empty"):
        watch.page.goto(f"{url}/?lang=en")
        watch.page.wait_for_selector(".ag-help")
        assert "agro demo" in watch.page.locator(".ag-help").inner_text()
    watch.check()
