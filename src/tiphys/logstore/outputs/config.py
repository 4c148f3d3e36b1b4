"""Which outputs there are: one YAML file, checked when it is set and when it is read.

outputs:
- name: central
  loki:
    url: https://loki.example:3100        # /loki/api/v1/push is added
    caFile: /etc/loki/ca.crt              # the machine's authorities without it
    tokenFile: /etc/loki/token            # a bearer token
    certFile: ...                         # a client certificate, with keyFile
    tenant: team-a                        # X-Scope-OrgID
    labels: {cluster: prod}               # added to each stream
- name: syslog
  syslog:
    address: logs.example:6514            # RFC 5425: TLS, octet counting
    caFile: /etc/syslog/ca.crt
  sources: [pods, events, audit]          # all without it
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import yaml

from tiphys.logstore.index import ORIGINS

_TLS_KEYS: Final = frozenset({"caFile", "certFile", "keyFile"})
_LOKI_KEYS: Final = _TLS_KEYS | {"url", "tokenFile", "tenant", "labels"}
_SYSLOG_KEYS: Final = _TLS_KEYS | {"address"}
_OUTPUT_KEYS: Final = frozenset({"name", "loki", "syslog", "sources"})
SYSLOG_PORT: Final = 6514  # RFC 5425


class OutputsError(Exception):
    """The file cannot be used: which field of which output, and why. Never holds a secret."""


@dataclass(frozen=True, slots=True)
class Tls:
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None


@dataclass(frozen=True, slots=True)
class LokiConfig:
    url: str
    tls: Tls
    token_file: Path | None = None
    tenant: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SyslogConfig:
    host: str
    port: int
    tls: Tls


@dataclass(frozen=True, slots=True)
class OutputConfig:
    """to: the one receiver. sources: origins whose lines are sent."""

    name: str
    to: LokiConfig | SyslogConfig
    sources: frozenset[str] = frozenset(ORIGINS)


def load(path: Path) -> list[OutputConfig]:
    """None without a file. Raises OutputsError."""
    try:
        return parse(path.read_bytes())
    except FileNotFoundError:
        return []
    except OSError as exc:
        raise OutputsError(f"{path}: {exc.strerror}") from exc


def parse(data: bytes) -> list[OutputConfig]:
    """Raises OutputsError."""
    try:
        document = yaml.safe_load(data)
    except yaml.YAMLError as exc:
        raise OutputsError(f"is no YAML: {exc}") from exc
    found = document.get("outputs") if isinstance(document, dict) else None
    if not isinstance(found, list) or set(document) != {"outputs"}:
        raise OutputsError("is not `outputs:` with a list")
    outputs = [_output(f"outputs[{i}]", one) for i, one in enumerate(found)]
    names = [output.name for output in outputs]
    if len(set(names)) < len(names):
        raise OutputsError("two outputs have the same name")
    return outputs


def _output(where: str, found: Any) -> OutputConfig:
    _check(where, found, _OUTPUT_KEYS)
    name = found.get("name")
    if not isinstance(name, str) or not name.replace("-", "").isalnum():
        raise OutputsError(f"{where}.name: letters, digits and - are needed")
    kinds = [kind for kind in ("loki", "syslog") if kind in found]
    if len(kinds) != 1:
        raise OutputsError(f"{where}: needs either loki or syslog")
    sources = found.get("sources", list(ORIGINS))
    if not isinstance(sources, list) or not sources or not set(sources) <= set(ORIGINS):
        raise OutputsError(f"{where}.sources: some of {', '.join(ORIGINS)} are needed")
    make = _loki if kinds == ["loki"] else _syslog
    return OutputConfig(name, make(f"{where}.{kinds[0]}", found[kinds[0]]), frozenset(sources))


def _loki(where: str, found: Any) -> LokiConfig:
    _check(where, found, _LOKI_KEYS)
    parts = urlsplit(str(found.get("url", "")))
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise OutputsError(f"{where}.url: an http(s) URL is needed")
    if parts.username or parts.password:
        raise OutputsError(f"{where}.url: holds a password; use tokenFile")
    if parts.scheme == "http" and found.get("tokenFile"):
        raise OutputsError(f"{where}.url: a token is not sent without TLS")
    labels = found.get("labels") or {}
    if not isinstance(labels, dict):
        raise OutputsError(f"{where}.labels: is no mapping")
    return LokiConfig(
        parts.geturl().rstrip("/").removesuffix("/loki/api/v1/push"),
        _tls(where, found),
        _file(where, found, "tokenFile"),
        str(found.get("tenant") or ""),
        {str(k): str(v) for k, v in labels.items()},
    )


def _syslog(where: str, found: Any) -> SyslogConfig:
    _check(where, found, _SYSLOG_KEYS)
    parts = urlsplit(f"//{found.get('address', '')}")
    try:
        port = parts.port or SYSLOG_PORT
    except ValueError as exc:
        raise OutputsError(f"{where}.address: {exc}") from exc
    if not parts.hostname or parts.path:
        raise OutputsError(f"{where}.address: HOST:PORT is needed")
    return SyslogConfig(parts.hostname, port, _tls(where, found))


def _tls(where: str, found: Mapping[str, Any]) -> Tls:
    ca, cert, key = (_file(where, found, name) for name in ("caFile", "certFile", "keyFile"))
    if (cert is None) != (key is None):
        raise OutputsError(f"{where}: certFile and keyFile belong together")
    return Tls(ca, cert, key)


def _file(where: str, found: Mapping[str, Any], name: str) -> Path | None:
    if not found.get(name):
        return None
    path = Path(str(found[name]))
    if not path.is_absolute() or not path.is_file():
        raise OutputsError(f"{where}.{name}: {path} is no file with an absolute path")
    return path


def _check(where: str, found: Any, known: frozenset[str]) -> None:
    if not isinstance(found, dict):
        raise OutputsError(f"{where}: is no mapping")
    unknown = sorted(map(str, found.keys() - known))
    if unknown:
        text = f"unknown field (known: {', '.join(sorted(known))})"
        raise OutputsError(f"{where}.{unknown[0]}: {text}")
