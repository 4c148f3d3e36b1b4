"""Whatever a client sends, the answer is a Status that says what is wrong with it.

Never a 5xx but those that upstream gives too, never more than a second of CPU, and the server's
memory stays where it was.
"""

import asyncio
import json
import random
import re
import resource
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.api_server import RunningApiServer, memory_backend, start
from support.odd_requests import OddRequest, a_request
from tiphys.lib.http.flow import BodyWriter, FlowControl
from tiphys.lib.http.message import Peer, Request, Response, StreamResponse

CASES: Final = 2_000
CASES_OF_E2E: Final = 100_000
CPU_SECONDS_MAX: Final = 1.0
MEMORY_MB_MAX: Final = 400  # That many requests may add to the process, hypothesis included.

# Upstream answers so too; recorded from kube-apiserver 1.36.2.
_UPSTREAMS: Final = (
    r"resourceVersion: Invalid value: .*strconv\.ParseUint: parsing",
    r"resourceVersion should not be set on objects to be created",
)
_NO_BACKEND: Final = frozenset({"proxy"})  # Nobody is behind it: 503.


class Sink:
    """A transport that throws everything away."""

    def write(self, data: bytes) -> None: ...

    def abort(self) -> None: ...

    def get_write_buffer_size(self) -> int:
        return 0


class Lab:
    """A server that is asked without sockets, as the administrator."""

    def __init__(self, directory: Path) -> None:
        self._loop = uvloop.new_event_loop()
        self.running, self._listening = self._loop.run_until_complete(
            start(directory, memory_backend())
        )
        pem = (directory / "admin.crt").read_bytes()
        self._admin = x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)
        self._loop.run_until_complete(furnish(self.running))

    def close(self) -> None:
        self._loop.run_until_complete(self._listening.__aexit__())
        self._loop.close()

    def ask(self, asked: OddRequest) -> tuple[int, bytes, float]:
        """(status, body, seconds of CPU). Raises what the server lets through."""
        begun = time.process_time()
        status, body = self._loop.run_until_complete(self._answer(asked))
        return status, body, time.process_time() - begun

    async def _answer(self, asked: OddRequest) -> tuple[int, bytes]:
        peer = Peer("127.0.0.1", self._admin)
        request = Request(asked.method, asked.target, dict(asked.headers), asked.body, peer)
        work = self.running.server.handle(request)
        answer = await work if hasattr(work, "__await__") else work
        if isinstance(answer, StreamResponse):
            stopping = asyncio.Event()
            stopping.set()
            await answer.write_body(BodyWriter(Sink(), FlowControl(), chunked=True, stopping=stopping))
            return answer.status, b""
        if isinstance(answer, Response):
            body = answer.body
            return answer.status, body if isinstance(body, bytes) else b"".join(body)
        return 101, b""


DEFINITION: Final = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "widgets", "singular": "widget", "kind": "Widget"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {
                    "status": {},
                    "scale": {
                        "specReplicasPath": ".spec.size",
                        "statusReplicasPath": ".status.size",
                    },
                },
                "selectableFields": [{"jsonPath": ".spec.color"}],
                "additionalPrinterColumns": [
                    {"name": "Size", "type": "integer", "jsonPath": ".spec.size"}
                ],
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "properties": {
                                    "size": {"type": "integer", "minimum": 0},
                                    "color": {"type": "string", "pattern": "^[a-z]*$"},
                                    "any": {"x-kubernetes-preserve-unknown-fields": True},
                                },
                            },
                            "status": {
                                "type": "object",
                                "x-kubernetes-preserve-unknown-fields": True,
                            },
                        },
                    }
                },
            }
        ],
    },
}
_TEMPLATE: Final = {
    "metadata": {"labels": {"app": "a"}},
    "spec": {"containers": [{"name": "main", "image": "i", "ports": [{"containerPort": 80}]}]},
}
_SELECTOR: Final = {"matchLabels": {"app": "a"}}
_APPS: Final = "/apis/apps/v1/namespaces/default"
_CORE: Final = "/api/v1/namespaces/default"
THINGS: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", DEFINITION),
    (f"{_CORE}/serviceaccounts", {"metadata": {"name": "default"}}),
    (f"{_CORE}/serviceaccounts", {"metadata": {"name": "a"}}),
    (f"{_CORE}/configmaps", {"metadata": {"name": "a"}, "data": {"k": "v"}}),
    (f"{_CORE}/secrets", {"metadata": {"name": "a"}, "data": {"k": "dg=="}}),
    (f"{_CORE}/pods", {"metadata": {"name": "a"}, "spec": _TEMPLATE["spec"]}),
    (f"{_CORE}/services", {"metadata": {"name": "a"}, "spec": {"ports": [{"port": 80}]}}),
    (f"{_APPS}/deployments", {"metadata": {"name": "a"}, "spec": {"selector": _SELECTOR, "template": _TEMPLATE}}),
    (f"{_APPS}/replicasets", {"metadata": {"name": "a"}, "spec": {"selector": _SELECTOR, "template": _TEMPLATE}}),
    (f"{_APPS}/statefulsets", {"metadata": {"name": "a"}, "spec": {"serviceName": "a", "selector": _SELECTOR, "template": _TEMPLATE}}),
    (f"{_APPS}/daemonsets", {"metadata": {"name": "a"}, "spec": {"selector": _SELECTOR, "template": _TEMPLATE}}),
    ("/api/v1/nodes", {"metadata": {"name": "a"}}),
    ("/apis/batch/v1/namespaces/default/jobs", {"metadata": {"name": "a"}, "spec": {"template": {"spec": {**_TEMPLATE["spec"], "restartPolicy": "Never"}}}}),  # type: ignore[dict-item]
)  # fmt: skip


async def furnish(running: RunningApiServer) -> None:
    """Objects that patches and updates find."""
    api = running.client()
    for path, thing in THINGS:
        status, answer = await api("POST", path, thing)
        assert status == 201, answer
    widget = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "a"}}
    async with asyncio.timeout(20):
        while (await api("POST", "/apis/example.com/v1/namespaces/default/widgets", widget))[0] != 201:
            await asyncio.sleep(0.01)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    made = Lab(tmp_path_factory.mktemp("api"))
    yield made
    made.close()


def problem_of(lab: Lab, asked: OddRequest) -> str:
    """What is wrong with the answer; empty for a good one."""
    status, body, seconds = lab.ask(asked)
    if seconds > CPU_SECONDS_MAX:
        return f"took {seconds:.2f} s"
    if status < 400 or (status == 404 and body == b"404 page not found\n"):
        return ""
    try:
        found = json.loads(body)
    except ValueError:
        return f"{status} without a Status: {body[:200]!r}"
    if (found.get("kind"), found.get("code")) != ("Status", status):
        return f"{status} without a Status: {body[:200]!r}"
    message = found.get("message", "")
    if status < 500 or any(re.match(pattern, message) for pattern in _UPSTREAMS):
        return ""
    if status == 503 and not _NO_BACKEND.isdisjoint(asked.target.partition("?")[0].split("/")):
        return ""
    return f"{status}: {message}"


def check(lab: Lab, count: int) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    @settings(max_examples=count, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.integers(0, 2**48).map(lambda seed: a_request(random.Random(seed))))
    def every(asked: OddRequest) -> None:
        assert problem_of(lab, asked) == ""

    every()
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown < MEMORY_MB_MAX


def test_some_odd_requests_are_refused(lab: Lab) -> None:
    check(lab, CASES)


@pytest.mark.slow
def test_very_many_odd_requests_are_refused(lab: Lab) -> None:
    check(lab, CASES_OF_E2E)
