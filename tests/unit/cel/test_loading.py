"""The language costs nothing where no expression is."""

import subprocess
import sys

import pytest

SERVERS = ("tiphys.apiserver.run", "tiphys.controllers.run", "tiphys.cluster.components")


@pytest.mark.parametrize("server", SERVERS)
def test_servers_start_without_the_language(server: str) -> None:
    program = f"import sys, {server}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    ).stdout.split()
    assert server in loaded
    of_the_language = [name for name in loaded if name.startswith("tiphys.cel")]
    assert of_the_language == []
    assert "re2" not in loaded
