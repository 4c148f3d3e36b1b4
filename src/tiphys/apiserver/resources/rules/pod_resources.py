"""Resources of a pod as a whole, and how those of its containers fit them.

Upstream: pkg/apis/core/validation/validation.go (validatePodResources), component-helpers
resource/helpers.go (AggregateContainerRequests, AggregateContainerLimits), KEP-2837.
"""

from collections.abc import Collection

from tiphys.api.field_errors import FieldError, forbidden, invalid
from tiphys.api.meta import Obj, at
from tiphys.api.quantity import of
from tiphys.api.quota_usage import container_resources
from tiphys.apiserver.resources.rules.resource_requirements import is_hugepages, requirements


def pod_resources(spec: Obj, path: str, claims: Collection[str]) -> list[FieldError]:
    if at(spec, "os", "name") == "windows":
        return [forbidden(path, "may not be set for a windows pod")]
    errors = requirements(spec["resources"], path, claims, of_pod=True)
    return errors + _sums(spec, path) + _single_limits(spec, path)


def _sums(spec: Obj, path: str) -> list[FieldError]:
    """The pod asks for no less than its containers do together."""
    errors: list[FieldError] = []
    for kind in ("requests", "limits"):
        own = spec["resources"].get(kind) or {}
        for name, total in sorted(container_resources(spec, kind).items()):
            counts = kind == "requests" or is_hugepages(name)
            if counts and name in own and not total <= of(own[name]):
                text = f"must be greater than or equal to aggregate container {kind} of {total}"
                errors.append(invalid(f"{path}.{kind}[{name}]", own[name], text))
    return errors


def _single_limits(spec: Obj, path: str) -> list[FieldError]:
    own = spec["resources"].get("limits") or {}
    errors: list[FieldError] = []
    for index, container in enumerate(spec.get("containers") or ()):
        for name, limit in sorted(at(container, "resources", "limits", default={}).items()):
            if name in own and not of(limit) <= of(own[name]):
                where = f"{path}.containers[{index}][{name}].limits"
                text = f"must be less than or equal to pod limits of {own[name]}"
                errors.append(invalid(where, limit, text))
    return errors
