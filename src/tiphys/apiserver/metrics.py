"""What the API server counts, and its page of metrics.

Upstream: apiserver pkg/endpoints/metrics, pkg/storage/etcd3/metrics; kube-aggregator
pkg/controllers/status/metrics.
"""

from typing import TYPE_CHECKING, Final

from tiphys.api.resources import ResourceInfo
from tiphys.apiserver.request_info import RequestInfo
from tiphys.lib.metrics import Buckets, gauge, process_families
from tiphys.lib.prometheus_text import Family, Labels, Sample

if TYPE_CHECKING:
    from tiphys.apiserver.server import ApiServer

# Methods of plain paths are among them; any other word is a client's own. Upstream: cleanVerb.
_VERBS: Final = {
    "create": "POST",
    "update": "PUT",
    **{
        verb: verb.upper()
        for verb in (
            *("get", "list", "watch", "patch", "delete", "deletecollection"),
            *("head", "post", "put", "options", "connect", "trace"),
        )
    },
}
OTHER: Final = "OTHER"
_LONG: Final = frozenset({"attach", "exec", "log", "portforward", "proxy"})
# Source: apiserver pkg/endpoints/metrics requestLatencies, the bounds that dashboards use.
SECONDS: Final = (0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0)


class Meter:
    """Requests of one verb and resource. What lasts by its nature has no durations."""

    __slots__ = ("_buckets", "_codes", "_is_long", "_labels")

    def __init__(self, labels: Labels, *, is_long: bool) -> None:
        self._labels = labels
        self._is_long = is_long
        self._codes: dict[int, int] = {}
        self._buckets = Buckets(SECONDS)

    def observe(self, code: int, seconds: float) -> None:
        codes = self._codes
        codes[code] = codes.get(code, 0) + 1
        if not self._is_long:
            self._buckets.observe(seconds)

    def counts(self) -> list[Sample]:
        return [Sample((("code", str(c)), *self._labels), n) for c, n in self._codes.items()]

    def durations(self) -> list[Sample]:
        return [] if self._is_long or not self._codes else self._buckets.samples(self._labels)


# Ours: every verb of every resource here, and as much again of other servers, whose resources are
# not known here: clients could name any.
METERS_MAX: Final = 4_000


class RequestMetrics:
    """Meters by what is asked for: of resources that are served, one a verb for all else."""

    def __init__(self) -> None:
        self._meters: dict[Labels, Meter] = {}

    def meter_of(
        self, info: RequestInfo, resource: ResourceInfo | None, *, is_remote: bool
    ) -> Meter:
        """resource: what is asked for, where this server knows it; is_remote: another serves it."""
        parts = resource.subresources if resource is not None else ()
        has_part = not info.subresource or info.subresource in parts
        is_served = is_remote or (resource is not None and has_part)
        verb = _VERBS.get(info.verb, OTHER)
        is_long = info.verb == "watch" or info.subresource in _LONG
        found = self._meters.get(labels := _labels(info, verb)) if is_served else None
        if found is None and (not is_served or len(self._meters) >= METERS_MAX):
            labels = _labels(RequestInfo("", ""), verb)
            found = self._meters.get(labels)
        if found is None:
            found = self._meters[labels] = Meter(labels, is_long=is_long)
        return found

    def families(self) -> list[Family]:
        meters = list(self._meters.values())
        return [
            Family(
                "apiserver_request_total",
                "counter",
                "[STABLE] Counter of apiserver requests broken out for each verb, dry run value, "
                "group, version, resource, scope, component, and HTTP response code.",
                [sample for meter in meters for sample in meter.counts()],
            ),
            Family(
                "apiserver_request_duration_seconds",
                "histogram",
                "[STABLE] Response latency distribution in seconds for each verb, dry run value, "
                "group, version, resource, subresource, scope and component.",
                [sample for meter in meters for sample in meter.durations()],
            ),
        ]


def _labels(info: RequestInfo, verb: str) -> Labels:
    return (
        ("component", "apiserver"),
        ("dry_run", ""),
        ("group", info.group),
        ("resource", info.resource),
        ("scope", _scope(info) if info.resource else ""),
        ("subresource", info.subresource),
        ("verb", verb),
        ("version", info.version),
    )


def _scope(info: RequestInfo) -> str:
    if info.name or info.verb == "create":
        return "resource"
    return "namespace" if info.namespace else "cluster"


def families(server: "ApiServer", git_version: str) -> list[Family]:
    """The whole page."""
    return [
        *server.requests.families(),
        *server.fairness.metrics.families(server.fairness.levels),
        *_storage(server),
        _aggregated(server),
        gauge(
            "kubernetes_build_info",
            "[BETA] A metric with a constant '1' value labeled by version.",
            1,
            ("git_version", git_version),
        ),
        *process_families(),
    ]


def _storage(server: "ApiServer") -> list[Family]:
    objects, watchers = [], []
    for (group, version, plural), endpoint in sorted(server.endpoints.items()):
        qualified = f"{plural}.{group}" if group else plural
        objects.append(Sample((("resource", qualified),), len(endpoint.cache.objects)))
        labels = (
            ("group", group),
            ("version", version),
            ("resource", plural),
            ("verb", "WATCH"),
        )
        watchers.append(Sample(labels, endpoint.cache.watcher_count))
    # Kinds of two versions are stored once.
    objects = list({sample.labels: sample for sample in objects}.values())
    found = [
        Family(
            "apiserver_storage_objects",
            "gauge",
            "[STABLE] Number of stored objects at the time of last check split by kind.",
            objects,
        ),
        Family(
            "apiserver_longrunning_requests",
            "gauge",
            "[STABLE] Gauge of all active long-running apiserver requests.",
            watchers,
        ),
    ]
    path = server.config.store_path
    if not server.config.etcd_endpoints and path.exists():
        text = "[STABLE] Size of the storage database file physically allocated in bytes."
        size = path.stat().st_size
        found.append(
            gauge("apiserver_storage_size_bytes", text, size, ("storage_cluster_id", "sqlite"))
        )
    return found


def _aggregated(server: "ApiServer") -> Family:
    return Family(
        "aggregator_unavailable_apiservice",
        "gauge",
        "[ALPHA] Gauge of APIServices which are marked as unavailable broken down by name.",
        [
            Sample((("name", f"{r.version}.{r.group}"),), int(not r.is_available))
            for r in server.aggregation.remotes.values()
        ],
    )
