"""What the API server finds at a simulated node: logs of its pods, and nothing else.

A pod's log is text that the test gives, in the annotation `testing.tiphys.io/log` or from Python.
Upstream: pkg/kubelet/server/server.go (/containerLogs).
"""

from collections.abc import Callable
from typing import Final
from urllib.parse import unquote

from tiphys.api.meta import Obj, ObjectKey, annotations_of
from tiphys.lib.http.message import Request, Response, text_response
from tiphys.testing.rules import LOG_ANNOTATION

FindPod = Callable[[ObjectKey], Obj | None]
NOT_SIMULATED: Final = "simulated pods have logs, but run no commands and open no ports\n"


class KubeletServer:
    """`handle` is the handler of an HTTP server; `texts` are logs given in Python, by pod."""

    def __init__(self, find: FindPod) -> None:
        self._find = find
        self.texts: dict[ObjectKey, str] = {}

    def handle(self, request: Request) -> Response:
        kind, *rest = [unquote(part) for part in request.raw_path.strip("/").split("/")]
        if kind != "containerLogs" or len(rest) != 3:
            return text_response(501, NOT_SIMULATED)
        namespace, name, _ = rest
        key = ObjectKey(namespace, name)
        pod = self._find(key)
        if pod is None:
            return text_response(404, f'pod "{name}" is not on this node\n')
        text = self.texts.get(key)
        if text is None:
            text = annotations_of(pod).get(LOG_ANNOTATION, "")
        try:
            tail = request.params().get("tailLines", [""])[0]
            return text_response(200, last_lines(text, int(tail) if tail else None))
        except ValueError:
            return text_response(400, f"not a number of lines: {tail}\n")


def last_lines(text: str, count: int | None) -> str:
    """So many of the last lines, all of them for None; each ends with a newline."""
    lines = text.splitlines()
    shown = lines if count is None else lines[len(lines) - min(count, len(lines)) :]
    return "".join(f"{line}\n" for line in shown)
