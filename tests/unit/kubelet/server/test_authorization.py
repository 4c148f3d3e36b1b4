"""Which subresource of the node a path is."""

import pytest

from tiphys.kubelet.server.authorization import subresources
from tiphys.kubelet.server.streams import exec_request


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/exec/ns/p/c", ("proxy",)),
        ("/containerLogs/ns/p/c", ("proxy",)),
        ("/metrics/resource", ("metrics", "proxy")),
        ("/stats/summary", ("stats", "proxy")),
        ("/pods", ("pods", "proxy")),
        ("/healthz", ("healthz", "proxy")),
    ],
)
def test_subresources(path: str, wanted: tuple[str, ...]) -> None:
    assert subresources(path) == wanted


def test_a_terminal_has_no_stderr() -> None:
    params = {"command": ["sh"], "input": ["1"], "output": ["1"], "error": ["1"], "tty": ["1"]}
    assert exec_request("c", params) == {
        "container_id": "c",
        "cmd": ["sh"],
        "stdin": True,
        "stdout": True,
        "stderr": False,
        "tty": True,
    }
