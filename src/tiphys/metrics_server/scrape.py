"""Asking kubelets what is used: /metrics/resource of every node.

Upstream: metrics-server pkg/scraper (scraper.go, client/resource).
"""

import asyncio
import logging
import ssl
from collections.abc import Mapping
from typing import Final

from tiphys.api.meta import Obj, at, name_of
from tiphys.lib.http.client import HttpClient, HttpError
from tiphys.lib.metrics import Counter
from tiphys.lib.prometheus_text import Family, parse
from tiphys.metrics_server.points import PodKey, Point, Scraped

log = logging.getLogger(__name__)

SCRAPE_SECONDS_MAX: Final = 10.0
KUBELET_PORT: Final = 10250
PATH: Final = "/metrics/resource"


def read(text: str, now: float) -> Scraped:
    """What a kubelet's answer says; now (seconds since 1970) is for samples without a time."""
    node: dict[str, float] = {}
    pods: dict[PodKey, dict[str, dict[str, float]]] = {}
    for line in parse(text):
        kind, _, quantity = line.name.partition("_")
        if quantity not in {"cpu_usage_seconds_total", "memory_working_set_bytes"} | {
            "start_time_seconds"
        }:
            continue
        if kind == "node":
            values = node
        elif kind == "container":
            labels = line.labels
            key = (labels.get("namespace", ""), labels.get("pod", ""))
            values = pods.setdefault(key, {}).setdefault(labels.get("container", ""), {})
        else:
            continue
        values[quantity] = line.value
        if quantity == "cpu_usage_seconds_total":
            values["at"] = line.timestamp_ms / 1000 if line.timestamp_ms else now
    found = {}
    for key, containers in pods.items():
        points = {name: point for name, v in containers.items() if (point := _point(v))}
        if points:
            found[key] = points
    return Scraped(_point(node), found)


def _point(values: Mapping[str, float]) -> Point | None:
    """None where CPU or memory is missing: half a point is none."""
    cpu, memory = values.get("cpu_usage_seconds_total"), values.get("memory_working_set_bytes")
    if cpu is None or memory is None:
        return None
    return Point(values["at"], cpu, int(memory), values.get("start_time_seconds", 0.0))


class Scraper:
    """Keeps one connection to each kubelet."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        self._tls = tls
        self._clients: dict[str, HttpClient] = {}
        self._failing: set[str] = set()
        self._requests = Counter(
            "metrics_server_kubelet_request_total", "Number of kubelet requests.", ("success",)
        )

    async def scrape(self, nodes: list[Obj], now: float) -> dict[str, Scraped]:
        """By node; one that does not answer is left out, and told once."""
        urls = {name_of(node): url for node in nodes if (url := kubelet_url(node))}
        for gone in self._clients.keys() - urls.keys():
            self._clients.pop(gone).close()
        answers = await asyncio.gather(*(self._one(name, url, now) for name, url in urls.items()))
        return {name: found for name, found in zip(urls, answers, strict=True) if found}

    async def _one(self, name: str, url: str, now: float) -> Scraped | None:
        try:
            answer = await self._client(name, url).request(
                "GET", PATH, timeout_seconds=SCRAPE_SECONDS_MAX
            )
            if answer.status != 200:
                raise HttpError(f"{url}{PATH}: status {answer.status}")
        except (HttpError, TimeoutError) as exc:
            self._requests.add("false")
            if name not in self._failing:
                self._failing.add(name)
                log.warning("node not scraped", extra={"node": name, "why": str(exc)})
            return None
        self._requests.add("true")
        self._failing.discard(name)
        return read(answer.body.decode(errors="replace"), now)

    def _client(self, name: str, url: str) -> HttpClient:
        known = self._clients.get(name)
        if known is not None and f"https://{known.host}:{known.port}" == url:
            return known
        if known is not None:
            known.close()
        made = self._clients[name] = HttpClient(url, tls=self._tls)
        return made

    def families(self) -> list[Family]:
        return [self._requests.family()]

    def close(self) -> None:
        for client in self._clients.values():
            client.close()
        self._clients.clear()


def kubelet_url(node: Obj) -> str:
    """Empty for a node without an address."""
    port = at(node, "status", "daemonEndpoints", "kubeletEndpoint", "Port", default=KUBELET_PORT)
    for address in at(node, "status", "addresses", default=[]):
        if address.get("type") == "InternalIP" and address.get("address"):
            host = address["address"]
            return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    return ""
