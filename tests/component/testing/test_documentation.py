"""Every example of docs/testing.md, run as a user's tests, with the real clients."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = re.findall(
    r"^```python\n(.*?)^```", (ROOT / "docs" / "testing.md").read_text(), re.MULTILINE | re.DOTALL
)
CLIENTS = ("kubernetes", "kubernetes_asyncio", "kr8s", "lightkube", "kopf")


@pytest.mark.parametrize("name", CLIENTS)
def test_each_client_has_an_example(name: str) -> None:
    assert any(re.search(rf"^(?:from|import) {name}\b", e, re.MULTILINE) for e in EXAMPLES)


def test_the_examples_pass(tmp_path: Path) -> None:
    for number, example in enumerate(EXAMPLES):
        (tmp_path / f"test_example_{number}.py").write_text(example)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--strict-markers", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    count = sum(len(re.findall(r"^def test_", e, re.MULTILINE)) for e in EXAMPLES)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{count} passed" in done.stdout
