"""A browser before the dashboard: nothing from outside, no error in its console."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Page, Playwright, Request

from e2e.clusters import TIPHYS, Cluster

VIEWPORT = {"width": 1360, "height": 820}


@contextmanager
def dashboard(cluster: Cluster) -> Iterator[str]:
    """`tiphys dashboard --url` while it runs: the address."""
    words = [str(TIPHYS), "-p", cluster.name, "dashboard", "--url"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=cluster.env) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()
    assert process.returncode == 0


def chromium(playwright: Playwright) -> Browser:
    """Debian's, as no other can be installed without internet."""
    path = shutil.which("chromium")
    assert path, "no chromium: make system-tests"
    return playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])


def is_complaint(message: ConsoleMessage) -> bool:
    """A refusal is an answer that the page shows: the browser logs it all the same."""
    refused = any(f"status of {code}" in message.text for code in (409, 422))
    return message.type == "error" and not refused


@contextmanager
def watched_page(browser: Browser, address: str) -> Iterator[Page]:
    """A page that may talk to address's host only, and must not complain."""
    host = urlsplit(address).netloc
    context = browser.new_context(viewport=VIEWPORT)  # type: ignore[arg-type]
    page = context.new_page()
    page.set_default_timeout(15_000)
    complaints: list[str] = []

    def seen(request: Request) -> None:
        if urlsplit(request.url).netloc not in {host, ""}:
            complaints.append(f"asked outside: {request.url}")

    page.on("request", seen)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda m: complaints.append(m.text) if is_complaint(m) else None)
    try:
        yield page
        assert not complaints, complaints
    finally:
        context.close()
