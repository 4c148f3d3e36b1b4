"""Recorded requests and what their path means, for tests that answer them in process."""

from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from tiphys.api.resources import ResourceInfo, resource


class Target(NamedTuple):
    """What a path names."""

    info: ResourceInfo
    namespace: str
    name: str
    subresource: str
    query: dict[str, str]


def target_of(path: str) -> Target | None:
    """None for a path that names no built-in resource."""
    url = urlsplit(path)
    parts = url.path.strip("/").split("/")
    if parts[0] == "api" and len(parts) > 2:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) > 3:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    namespace = ""
    if rest and rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in {"status", "finalize"}:
        namespace, rest = rest[1], rest[2:]
    rest = [*rest, "", "", ""]
    info = resource(group, version, rest[0])
    if info is None:
        return None
    query = {k: v[-1] for k, v in parse_qs(url.query, keep_blank_values=True).items()}
    return Target(info, namespace, rest[1], rest[2], query)


def message_of(step: dict[str, Any]) -> str:
    """The message of a recorded Status, or nothing."""
    body = step.get("expect", {}).get("body")
    return str(body.get("message", "")) if isinstance(body, dict) else ""
