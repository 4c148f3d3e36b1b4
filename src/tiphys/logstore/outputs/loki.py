"""Loki's push API as a receiver: JSON over HTTP.

A batch that was taken and whose acknowledgement was lost is sent again with the same times and
texts: Loki keeps equal entries of a stream once, so a line is there once.
Source: Grafana Loki, HTTP API (POST /loki/api/v1/push).
"""

import ssl
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

import orjson

from tiphys.lib.http.client import HttpClient, HttpError
from tiphys.lib.tls import client_context
from tiphys.logstore.outputs.config import LokiConfig
from tiphys.logstore.outputs.record import OutputError, Record

PUSH_PATH: Final = "/loki/api/v1/push"
SEND_SECONDS_MAX: Final = 30.0
REFUSED: Final = frozenset({400, 413, 422})  # Never taken, however often it is sent.
APP_LABELS: Final = ("app.kubernetes.io/name", "app")
_SHOWN: Final = 200  # Characters of an answer in an error.


class LinesRefused(OutputError):
    """The receiver will never take them."""


def nanoseconds(time: str) -> int:
    """Of RFC 3339 in UTC with up to nine digits. Raises ValueError."""
    seconds = int(datetime.fromisoformat(f"{time[:19]}+00:00").timestamp())
    fraction = time[20:].rstrip("Z") if time[19:20] == "." else ""
    return seconds * 10**9 + int(fraction.ljust(9, "0")[:9])


def labels_of(record: Record, more: Mapping[str, str]) -> dict[str, str]:
    """Few of few values: each set of them is a stream of its own to Loki."""
    source = record.source
    app = next((record.labels[name] for name in APP_LABELS if name in record.labels), "")
    found = {
        "source": source.origin,
        "namespace": source.namespace,
        "pod": source.pod,
        "container": source.container,
        "node": source.node,
        "stream": record.stream,
        "app": app,
        **more,
    }
    return {name: value for name, value in found.items() if value}


def push_body(records: Sequence[Record], more: Mapping[str, str]) -> bytes:
    streams: dict[tuple[tuple[str, str], ...], list[list[str]]] = {}
    for record in records:
        key = tuple(labels_of(record, more).items())
        streams.setdefault(key, []).append([str(nanoseconds(record.time)), record.text])
    found = [{"stream": dict(key), "values": values} for key, values in streams.items()]
    return orjson.dumps({"streams": found})


class LokiOutput:
    def __init__(self, config: LokiConfig) -> None:
        """Raises OSError, ssl.SSLError for files that cannot be read."""
        self._config = config
        self._client = HttpClient(config.url, tls=context_of(config))

    async def send(self, records: Sequence[Record]) -> None:
        """Raises LinesRefused, OutputError."""
        headers = {"Content-Type": "application/json"}
        if self._config.tenant:
            headers["X-Scope-OrgID"] = self._config.tenant
        try:
            if self._config.token_file is not None:  # Read anew: tokens are renewed.
                token = self._config.token_file.read_text().strip()
                headers["Authorization"] = f"Bearer {token}"
            answer = await self._client.request(
                "POST",
                self._client.base_path + PUSH_PATH,
                headers=headers,
                body=push_body(records, self._config.labels),
                timeout_seconds=SEND_SECONDS_MAX,
            )
        except (HttpError, OSError, TimeoutError) as exc:
            raise OutputError(str(exc)) from exc
        if answer.status // 100 != 2:
            text = answer.body[:_SHOWN].decode("utf-8", "replace").strip()
            kind = LinesRefused if answer.status in REFUSED else OutputError
            raise kind(f"{self._config.url} answers {answer.status}: {text}")

    def close(self) -> None:
        self._client.close()


def context_of(config: LokiConfig) -> ssl.SSLContext | None:
    tls = config.tls
    if not config.url.startswith("https:"):
        return None
    if tls.ca_file is not None:
        return client_context(tls.ca_file, tls.cert_file, tls.key_file)
    context = ssl.create_default_context()
    if tls.cert_file is not None:
        context.load_cert_chain(tls.cert_file, tls.key_file)
    return context
