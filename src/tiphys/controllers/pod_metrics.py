"""What one metric of an autoscaler asks for, read from the metrics APIs.

metrics.k8s.io, custom.metrics.k8s.io and external.metrics.k8s.io are served by others; where they
are not, the answer is upstream's error. Upstream: podautoscaler/metrics/client.go, horizontal.go.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from tiphys.api import labels, quantity
from tiphys.api.errors import ApiError, NotFound
from tiphys.api.meta import Obj, at, namespace_of, parse_time
from tiphys.client.rest import Client
from tiphys.controllers import replica_calculator as calculator
from tiphys.controllers.replica_calculator import CalculationError, Result, Tolerances, Usage
from tiphys.lib.clock import Clock

RESOURCE_PATH: Final = "/apis/metrics.k8s.io/v1beta1"
CUSTOM_PATH: Final = "/apis/custom.metrics.k8s.io/v1beta2"
EXTERNAL_PATH: Final = "/apis/external.metrics.k8s.io/v1beta1"
NOT_SERVED: Final = "the server could not find the requested resource"


class MetricError(Exception):
    """The whole text; `cause` is the innermost, told in an event and the condition."""

    def __init__(self, text: str, reason: str, cause: str = "") -> None:
        super().__init__(text)
        self.reason = reason
        self.cause = cause


class Asked(NamedTuple):
    replicas: int
    name: str  # As messages call the metric.
    status: Obj  # For status.currentMetrics.


class PodMetrics:
    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock

    async def asked(self, spec: Obj, hpa: Obj, scale: Obj, selected: Sequence[Obj]) -> Asked:
        """Raises MetricError."""
        kind = spec["type"]
        tolerances = tolerances_of(hpa)
        if kind == "Resource":
            return await self._resource(spec["resource"], "", hpa, scale, selected, tolerances)
        if kind == "ContainerResource":
            source = spec["containerResource"]
            container = source["container"]
            return await self._resource(source, container, hpa, scale, selected, tolerances)
        if kind == "Pods":
            return await self._pods_metric(spec["pods"], hpa, scale, selected, tolerances)
        if kind == "Object":
            return await self._object(spec["object"], hpa, scale, selected, tolerances)
        return await self._external(spec["external"], hpa, scale, selected, tolerances)

    async def _resource(
        self,
        source: Obj,
        container: str,
        hpa: Obj,
        scale: Obj,
        selected: Sequence[Obj],
        tolerances: Tolerances,
    ) -> Asked:
        name, target = str(source["name"]), source["target"]
        percent = target.get("averageUtilization")
        reason = "FailedGetContainerResourceMetric" if container else "FailedGetResourceMetric"
        what = "container resource" if container else "resource"
        current, now = _current(scale), self._clock.now()
        try:
            usages = await self._usages(name, container, hpa, scale)
            if percent is None:
                millis = quantity.of(target["averageValue"]).milli_value
                result = calculator.by_average(
                    current, millis, usages, selected, name, now, tolerances
                )
            else:
                result = calculator.by_utilization(
                    current, int(percent), usages, selected, name, container, now, tolerances
                )
        except CalculationError as exc:
            kind = "usage" if percent is None else "utilization"
            text = f"failed to get {name} {what} metric value: failed to get {name} {kind}: {exc}"
            raise MetricError(text, reason, str(exc)) from exc
        shown: Obj = {"averageValue": _text(result.average_millis, name)}
        if result.percent is not None:
            shown["averageUtilization"] = result.percent
        status: Obj = {"name": name, "current": shown}
        if container:
            status["container"] = container
            label = f"{name} container resource utilization (percentage of request)"
            kinds = {"type": "ContainerResource", "containerResource": status}
        else:
            label = f"{name} resource utilization (percentage of request)"
            kinds = {"type": "Resource", "resource": status}
        if percent is None:
            label = f"{name} {what}"
        return Asked(result.replicas, label, kinds)

    async def _usages(
        self, resource: str, container: str, hpa: Obj, scale: Obj
    ) -> dict[str, Usage]:
        """Usage by pod. Raises CalculationError."""
        path = f"{RESOURCE_PATH}/namespaces/{namespace_of(hpa)}/pods"
        query = {"labelSelector": str(at(scale, "status", "selector", default=""))}
        prefix = f"unable to get metrics for resource {resource}"
        try:
            listed = await self._client.request("GET", path, query=query)
        except ApiError as exc:
            why = _why(exc, "pods.metrics.k8s.io")
            text = f"{prefix}: unable to fetch metrics from resource metrics API: {why}"
            raise CalculationError(text) from exc
        items = listed.get("items") or []
        if not items:
            raise CalculationError(f"{prefix}: no metrics returned from resource metrics API")
        usages = {}
        for item in items:
            containers = item.get("containers") or []
            if container:
                containers = [c for c in containers if c["name"] == container]
            used = [at(c, "usage", resource) for c in containers]
            if used and all(u is not None for u in used):
                moment = parse_time(item["timestamp"])
                window = _seconds(item.get("window", ""))
                millis = sum(quantity.of(u).milli_value for u in used)
                usages[item["metadata"]["name"]] = Usage(millis, moment, window)
        return usages

    async def _pods_metric(
        self, source: Obj, hpa: Obj, scale: Obj, selected: Sequence[Obj], tolerances: Tolerances
    ) -> Asked:
        name = str(source["metric"]["name"])
        target = quantity.of(source["target"]["averageValue"]).milli_value
        path = f"{CUSTOM_PATH}/namespaces/{namespace_of(hpa)}/pods/*/{quote(name)}"
        query = _metric_query(source) | {
            "labelSelector": str(at(scale, "status", "selector", default=""))
        }
        try:
            values = await self._values(path, query, f"{name}.custom.metrics.k8s.io", "custom")
            usages = {
                v["describedObject"]["name"]: Usage(
                    quantity.of(v["value"]).milli_value, parse_time(v["timestamp"])
                )
                for v in values
            }
            now = self._clock.now()
            result = calculator.by_average(
                _current(scale), target, usages, selected, name, now, tolerances
            )
        except CalculationError as exc:
            text = f"failed to get pods metric value: unable to get metric {name}: {exc}"
            raise MetricError(
                text, "FailedGetPodsMetric", f"unable to get metric {name}: {exc}"
            ) from exc
        shown = {"averageValue": _text(result.average_millis)}
        status = {"type": "Pods", "pods": {"metric": source["metric"], "current": shown}}
        return Asked(result.replicas, f"pods metric {name}", status)

    async def _object(
        self, source: Obj, hpa: Obj, scale: Obj, selected: Sequence[Obj], tolerances: Tolerances
    ) -> Asked:
        name, described = str(source["metric"]["name"]), source["describedObject"]
        where = f"{described['kind'].lower()}s/{quote(described['name'])}/{quote(name)}"
        path = f"{CUSTOM_PATH}/namespaces/{namespace_of(hpa)}/{where}"
        try:
            values = await self._values(
                path, _metric_query(source), f"{name}.custom.metrics.k8s.io", "custom"
            )
            if not values:
                raise CalculationError("no metrics returned from custom metrics API")
        except CalculationError as exc:
            cause = (
                f"unable to get metric {name}: {described['kind']} on {namespace_of(hpa)}"
                f" {described['name']}/{exc}"
            )
            text = f"failed to get object metric value: {cause}"
            raise MetricError(text, "FailedGetObjectMetric", cause) from exc
        millis = quantity.of(values[0]["value"]).milli_value
        result, shown = _by_target(source["target"], millis, scale, selected, tolerances)
        status = {"metric": source["metric"], "describedObject": described, "current": shown}
        return Asked(
            result.replicas,
            f"{described['kind']} metric {name}",
            {"type": "Object", "object": status},
        )

    async def _external(
        self, source: Obj, hpa: Obj, scale: Obj, selected: Sequence[Obj], tolerances: Tolerances
    ) -> Asked:
        name, selector = str(source["metric"]["name"]), at(source, "metric", "selector")
        path = f"{EXTERNAL_PATH}/namespaces/{namespace_of(hpa)}/{quote(name)}"
        query = {"labelSelector": str(labels.from_object(selector))} if selector else {}
        try:
            values = await self._values(path, query, f"{name}.external.metrics.k8s.io", "external")
            if not values:
                raise CalculationError("no metrics returned from external metrics API")
        except CalculationError as exc:
            shown_selector = _selector_text(selector)
            cause = (
                f"unable to get external metric {namespace_of(hpa)}/{name}/{shown_selector}: {exc}"
            )
            text = (
                f"failed to get {name} external metric value: failed to get external metric"
                f" {name}: {cause}"
            )
            raise MetricError(text, "FailedGetExternalMetric", cause) from exc
        millis = sum(quantity.of(v["value"]).milli_value for v in values)
        result, shown = _by_target(source["target"], millis, scale, selected, tolerances)
        status = {"metric": source["metric"], "current": shown}
        label = f"external metric {name}({_selector_text(selector)})"
        return Asked(result.replicas, label, {"type": "External", "external": status})

    async def _values(self, path: str, query: dict[str, str], resource: str, api: str) -> list[Obj]:
        """Raises CalculationError."""
        try:
            listed = await self._client.request("GET", path, query=query)
        except ApiError as exc:
            why = _why(exc, resource)
            raise CalculationError(
                f"unable to fetch metrics from {api} metrics API: {why}"
            ) from exc
        found: list[Obj] = listed.get("items") or []
        return found


def tolerances_of(hpa: Obj) -> Tolerances:
    """The autoscaler's own, or the usual. Source: KEP-4951."""

    def of(direction: str) -> float:
        given = at(hpa, "spec", "behavior", direction, "tolerance")
        return calculator.TOLERANCE if given is None else quantity.of(given).milli_value / 1000

    return Tolerances(of("scaleUp"), of("scaleDown"))


def _by_target(
    target: Obj, millis: int, scale: Obj, selected: Sequence[Obj], tolerances: Tolerances
) -> tuple[Result, Obj]:
    if "averageValue" in target:
        wanted = quantity.of(target["averageValue"]).milli_value
        status_replicas = int(at(scale, "status", "replicas", default=0))
        result = calculator.by_value_per_pod(status_replicas, wanted, millis, tolerances)
        return result, {"averageValue": _text(result.average_millis)}
    wanted = quantity.of(target["value"]).milli_value
    result = calculator.by_value(_current(scale), wanted, millis, selected, tolerances)
    return result, {"value": _text(millis)}


def _current(scale: Obj) -> int:
    return int(at(scale, "spec", "replicas", default=0))


def _metric_query(source: Obj) -> dict[str, str]:
    selector = at(source, "metric", "selector")
    return {"metricLabelSelector": str(labels.from_object(selector))} if selector else {}


def _text(millis: int, resource: str = "") -> str:
    notation: Any = "binary" if resource == "memory" else "decimal"
    return str(quantity.from_millis(millis, notation))


def _why(error: ApiError, resource: str) -> str:
    """A group that nobody serves is answered without a word: client-go fills in its own."""
    if error.code == NotFound.code:
        return f"{NOT_SERVED} (get {resource})"
    return error.message


def _seconds(window: str) -> float:
    """`30s`, `1m0s` as the metrics API writes windows."""
    minutes, _, rest = window.rpartition("m")
    try:
        return 60.0 * float(minutes or 0) + float(rest.removesuffix("s") or 0)
    except ValueError:
        return 60.0


def _selector_text(selector: Obj | None) -> str:
    """As Go prints a *LabelSelector."""
    if selector is None:
        return "nil"
    pairs = "".join(f"{k}: {v}," for k, v in sorted((selector.get("matchLabels") or {}).items()))
    listed = "".join(
        f"LabelSelectorRequirement{{Key:{e['key']},Operator:{e['operator']},"
        f"Values:[{' '.join(e.get('values') or [])}],}},"
        for e in selector.get("matchExpressions") or []
    )
    expressions = f"[]LabelSelectorRequirement{{{listed}}}"
    matching = f"MatchLabels:map[string]string{{{pairs}}}"
    return f"&LabelSelector{{{matching},MatchExpressions:{expressions},}}"
