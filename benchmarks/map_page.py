"""Seconds from asking for the map page to its legend and its map, in Chromium: a first visit, then again.

``python benchmarks/map_page.py WORKSPACE`` starts the application on a free port and drives a browser (software
rendering, so a machine with a graphics card is faster).
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from playwright.sync_api import sync_playwright

from app.launch import command

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run", "--disable-component-update",
    "--disable-sync", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
]  # fmt: skip


def measure(workspace: Path) -> dict[str, float]:
    """Time the page; ``cold`` is the first visit after the server started, with an empty browser cache."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url, found = f"http://127.0.0.1:{port}", {}
    started = time.perf_counter()
    server = subprocess.Popen(
        command(workspace, port, headless=True), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        while True:
            if server.poll() is not None:
                raise SystemExit("the server stopped")
            try:
                urllib.request.urlopen(f"{url}/_stcore/health", timeout=1).close()
                break
            except OSError:
                time.sleep(0.05)
        found["server_start_s"] = time.perf_counter() - started
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
            page = browser.new_page(viewport={"width": 1366, "height": 768})
            for visit in ("cold", "warm"):
                asked = time.perf_counter()
                page.goto(f"{url}/?lang=fr", wait_until="commit")
                page.wait_for_selector(".ag-legend")
                found[f"{visit}_legend_s"] = time.perf_counter() - asked
                page.wait_for_selector("[data-testid=stDeckGlJsonChart] canvas", state="attached")
                found[f"{visit}_map_s"] = time.perf_counter() - asked
            search = page.locator(".st-key-field_search input")
            search.click()
            search.press("ArrowDown")
            asked = time.perf_counter()
            search.press("Enter")
            page.wait_for_selector(".ag-card")
            found["choose_field_s"] = time.perf_counter() - asked
            browser.close()
    finally:
        server.terminate()
        server.wait(timeout=20)
    return {name: round(value, 2) for name, value in found.items()}


if __name__ == "__main__":
    print(json.dumps(measure(Path(sys.argv[1]))))
