"""schemathesis over every document of /openapi/v3: no 5xx of ours, who may nothing gets nothing.

Requests are made of what the documents say, by a program that knows nothing of the server.
"""

import json
import warnings
from collections.abc import Iterator
from typing import Any, Final

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from support.in_process import UPSTREAMS_500, Lab, status_of
from support.odd_requests import OddRequest

SAMPLE: Final = 14  # Every so manieth operation is tried by `make test`.
EXAMPLES: Final = 5
EXAMPLES_OF_E2E: Final = 10
# What everybody who is somebody may: upstream's system:discovery and system:basic-user.
_OF_EVERYBODY: Final = frozenset(
    {
        ("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews"),
        ("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"),
        ("POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"),
    }
)
_MERGE: Final = "application/merge-patch+json"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    made = Lab(tmp_path_factory.mktemp("api"))
    yield made
    made.close()


def asked(lab: Lab, method: str, path: str, body: Any = None) -> Any:
    data = json.dumps(body).encode() if body is not None else b""
    status, answer, _ = lab.ask(
        OddRequest(method, path, {"content-type": "application/json"}, data)
    )
    assert status < 300, answer
    return json.loads(answer)


def operations_of(lab: Lab) -> list[Any]:
    """Those of all documents, custom resources included."""
    found = []
    index = asked(lab, "GET", "/openapi/v3")["paths"]
    for entry in index.values():
        schema = schemathesis.openapi.from_dict(asked(lab, "GET", entry["serverRelativeURL"]))
        found += [result.ok() for result in schema.get_all_operations()]
    return found


def as_request(case: Any, *, is_aimed: bool) -> OddRequest:
    """The request of a case; an aimed one is about objects that are there, in a form they have.

    Nothing is deleted for good: later requests are to find something.
    """
    if is_aimed and case.path_parameters:
        case.path_parameters = {
            name: {"namespace": "default", "name": "a"}.get(name, value)
            for name, value in case.path_parameters.items()
        }
    if case.method == "DELETE":
        case.query = {**(case.query or {}), "dryRun": "All"}
        if isinstance(case.body, dict):  # Then the query does not count.
            case.body = {**case.body, "dryRun": ["All"]}
    sent = case.as_transport_kwargs(base_url="http://server")
    prepared = requests.Request(
        **{k: v for k, v in sent.items() if k not in {"verify", "timeout", "stream"}}
    ).prepare()
    headers = {k.lower(): str(v) for k, v in prepared.headers.items()}
    body = prepared.body or b""
    if is_aimed and body:
        headers["content-type"] = _MERGE if case.method == "PATCH" else "application/json"
    data = body if isinstance(body, bytes) else str(body).encode()
    assert prepared.method is not None
    return OddRequest(prepared.method, prepared.path_url, headers, data)


def problem_of(lab: Lab, request: OddRequest, path: str) -> str:
    """What is wrong with the administrator's answer."""
    status, body, _ = lab.ask(request)
    if status < 500:
        return ""
    # Not yet (to be tried again), nobody behind a proxy: states, not faults.
    if status == 504 or (status == 503 and "/proxy" in path):
        return ""
    message = str(status_of(body).get("message"))
    is_upstreams = status == 500 and any(text in message for text in UPSTREAMS_500)
    return "" if is_upstreams else f"{status}: {message}"


def bypass_of(lab: Lab, request: OddRequest, path: str, token: str) -> str:
    """What somebody without rights was shown or let do."""
    status, body, _ = lab.ask(request, token=token)
    is_resource = path.count("/") > (3 if path.startswith("/api/") else 4)
    if status == 403 or (request.method, path) in _OF_EVERYBODY:
        return "" if status < 500 else f"{status}: {body[:200]!r}"
    if (
        not is_resource
        and not path.endswith("s/{name}")
        and request.method == "GET"
        and status == 200
    ):
        return "" if is_document(path) else f"{status} of {path}"
    return f"{status} of {path}: {body[:200]!r}"


def is_document(path: str) -> bool:
    """A document of discovery, the version, keys of tokens: never an object of the store."""
    parts = path.strip("/").split("/")
    if parts[0] in {"version", "openid", ".well-known"}:
        return True
    return parts[0] in {"api", "apis"} and len(parts) <= (2 if parts[0] == "api" else 3)


def problems_of(
    lab: Lab, operation: Any, token: str, examples: int, *, derandomize: bool
) -> list[str]:
    path = operation.label.partition(" ")[2]
    found: list[str] = []

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=derandomize,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(), st.booleans())
    def every(case: Any, is_aimed: bool) -> None:
        request = as_request(case, is_aimed=is_aimed)
        problems = problem_of(lab, request, path), bypass_of(lab, request, path, token)
        found.extend(f"{operation.label}: {p} for {request}" for p in problems if p)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Its generators warn of schemas that take anything.
        every()
    return found


def check(lab: Lab, operations: list[Any], examples: int, *, derandomize: bool) -> None:
    path = "/api/v1/namespaces/default/serviceaccounts/a/token"
    token = asked(lab, "POST", path, {"spec": {}})["status"]["token"]
    problems = []
    for operation in operations:
        problems += problems_of(lab, operation, token, examples, derandomize=derandomize)
    assert problems == []


def test_a_sample_of_the_operations(lab: Lab) -> None:
    check(lab, operations_of(lab)[::SAMPLE], EXAMPLES, derandomize=True)


@pytest.mark.slow
def test_all_operations(lab: Lab) -> None:
    operations = operations_of(lab)
    assert len(operations) > 800
    check(lab, operations, EXAMPLES_OF_E2E, derandomize=False)
