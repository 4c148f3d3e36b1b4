"""The decisions of the dashboard's pages, in Node's own test runner."""

import subprocess
from pathlib import Path

PAGES = Path(__file__).resolve().parents[2] / "dashboard"


def test_decisions_of_the_pages() -> None:
    assert (PAGES / "node_modules").is_dir(), "make dashboard"
    words = ["node", "test.mjs"]
    done = subprocess.run(words, cwd=PAGES, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "# fail 0" in done.stdout
