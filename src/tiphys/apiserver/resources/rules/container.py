"""Containers: their names, images, ports, restarts; the rest has files of its own.

Upstream: pkg/apis/core/validation/validation.go (validateContainers and what it calls).
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tiphys.api import names
from tiphys.api.field_errors import (
    FieldError,
    duplicate,
    forbidden,
    invalid,
    not_found,
    not_supported,
    required,
    too_many,
)
from tiphys.api.meta import Obj
from tiphys.apiserver.resources.rules.environment import environment, environment_from
from tiphys.apiserver.resources.rules.handlers import lifecycle_and_probes
from tiphys.apiserver.resources.rules.mounts import devices, mounts
from tiphys.apiserver.resources.rules.resource_requirements import requirements
from tiphys.apiserver.resources.rules.security_context import container_context
from tiphys.apiserver.resources.rules.texts import (
    PROTOCOLS,
    each,
    named,
    one_of,
    port_number,
)

_RESTART_POLICIES: Final = ("Always", "Never", "OnFailure")
_RESTART_RULES_MAX: Final = 20
_EXIT_CODES_MAX: Final = 255


@dataclass(frozen=True, slots=True)
class PodFacts:
    """What the rules of containers need to know of their pod."""

    spec: Obj
    volumes: Mapping[str, Obj]
    claims: Collection[str]

    @property
    def grace_seconds(self) -> int:
        return int(self.spec.get("terminationGracePeriodSeconds") or 0)

    @property
    def host_users(self) -> bool:
        return self.spec.get("hostUsers") is not False


def containers(values: Sequence[Obj], path: str, pod: PodFacts) -> list[FieldError]:
    if not values:
        return [required(path)]
    errors: list[FieldError] = []
    seen: set[str] = set()
    for index, container in enumerate(values):
        where = f"{path}[{index}]"
        errors += _common(container, where, pod)
        errors += _unique(container.get("name", ""), f"{where}.name", seen)
        errors += lifecycle_and_probes(container, where, pod.grace_seconds)
        errors += _restart_policy(container, where)
    return errors + _host_ports(values, path)


def init_containers(
    values: Sequence[Obj], regular: Sequence[Obj], path: str, pod: PodFacts
) -> list[FieldError]:
    errors: list[FieldError] = []
    seen = {c.get("name", "") for c in regular}
    for index, container in enumerate(values):
        where = f"{path}[{index}]"
        errors += _common(container, where, pod)
        found = _restart_policy(container, where)
        errors += found if "restartPolicy" in container else found[:1]
        name = container.get("name", "")
        errors += _unique(name, f"{where}.name", seen) if name in seen or name else []
        errors += _host_ports([container], path)
        if container.get("restartPolicy") == "Always":
            errors += lifecycle_and_probes(container, where, pod.grace_seconds)
        else:
            errors += _only_sidecars(container, where)
    return errors


_OF_EPHEMERAL: Final = (
    "ports", "resources", "resizePolicy", "restartPolicy", "restartPolicyRules", "livenessProbe",
    "readinessProbe", "startupProbe", "lifecycle",
)  # fmt: skip


def ephemeral_containers(
    values: Sequence[Obj], others: Collection[str], path: str, pod: PodFacts
) -> list[FieldError]:
    """others: the names of the pod's containers and init containers."""
    errors: list[FieldError] = []
    seen = set(others)
    text = "cannot be set for an Ephemeral Container"
    for index, container in enumerate(values):
        where = f"{path}[{index}]"
        errors += _common(container, where, pod)
        errors += trimmed_image(container, where)
        errors += _unique(container.get("name", ""), f"{where}.name", seen)
        target = container.get("targetContainerName", "")
        if target and target not in others:
            errors.append(not_found(f"{where}.targetContainerName", target))
        errors += [forbidden(f"{where}.{f}", text) for f in _OF_EPHEMERAL if container.get(f)]
        for at, mount in enumerate(container.get("volumeMounts") or ()):
            for field in ("subPath", "subPathExpr"):
                if mount.get(field):
                    errors.append(forbidden(f"{where}.volumeMounts[{at}].{field}", text))
    return errors


def trimmed_image(container: Obj, path: str) -> list[FieldError]:
    """Asked of pods, not of templates."""
    image = container.get("image", "")
    if image == image.strip():
        return []
    text = "must not have leading or trailing whitespace"
    return [invalid(f"{path}.image", image, text)]


def _only_sidecars(container: Obj, path: str) -> Iterator[FieldError]:
    text = "may not be set for init containers without restartPolicy=Always"
    for field in ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe"):
        if field in container:
            yield forbidden(f"{path}.{field}", text)
    for index, policy in enumerate(container.get("resizePolicy") or ()):
        if policy.get("restartPolicy") == "RestartContainer":
            where = f"{path}.resizePolicy[{index}].restartPolicy"
            text = "must not be set to 'RestartContainer' for non-sidecar initContainers"
            yield invalid(where, "RestartContainer", text)


def _unique(name: str, path: str, seen: set[str]) -> list[FieldError]:
    if name in seen:
        return [duplicate(path, name)]
    seen.add(name)
    return []


def _host_ports(values: Sequence[Obj], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for index, container in enumerate(values):
        for at, port in enumerate(container.get("ports") or ()):
            if not port.get("hostPort"):
                continue
            text = f"{port.get('protocol', '')}/{port.get('hostIP', '')}/{port['hostPort']}"
            errors += _unique(text, f"{path}[{index}].ports[{at}].hostPort", seen)
    return errors


def _common(container: Obj, path: str, pod: PodFacts) -> list[FieldError]:
    errors = named(container.get("name", ""), f"{path}.name", names.dns_label)
    if not container.get("image"):
        errors.append(required(f"{path}.image"))
    policy = container.get("terminationMessagePolicy", "")
    valid = ("File", "FallbackToLogsOnError")
    errors += one_of(policy, f"{path}.terminationMessagePolicy", valid)
    errors += _ports(container.get("ports") or (), f"{path}.ports")
    errors += environment(container.get("env") or (), f"{path}.env")
    errors += environment_from(container.get("envFrom") or (), f"{path}.envFrom")
    errors += mounts(container, path, pod.volumes)
    errors += devices(container, path, pod.volumes)
    pull = container.get("imagePullPolicy", "")
    errors += one_of(pull, f"{path}.imagePullPolicy", ("Always", "IfNotPresent", "Never"))
    errors += requirements(container.get("resources") or {}, f"{path}.resources", pod.claims)
    errors += _resize(container.get("resizePolicy") or (), f"{path}.resizePolicy", pod.spec)
    context = container.get("securityContext")
    return errors + container_context(context, f"{path}.securityContext", host_users=pod.host_users)


def _ports(values: Sequence[Obj], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for index, port in enumerate(values):
        where = f"{path}[{index}]"
        name = port.get("name", "")
        if name:
            texts = names.port_name(name)
            errors += each(f"{where}.name", name, texts)
            errors += [] if texts else _unique(name, f"{where}.name", seen)
        number = port.get("containerPort", 0)
        if not number:
            errors.append(required(f"{where}.containerPort"))
        else:
            errors += port_number(number, f"{where}.containerPort")
        if port.get("hostPort"):
            errors += port_number(port["hostPort"], f"{where}.hostPort")
        errors += one_of(port.get("protocol", ""), f"{where}.protocol", PROTOCOLS)
    return errors


def _resize(values: Sequence[Obj], path: str, spec: Obj) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for index, policy in enumerate(values):
        name, restart = policy.get("resourceName", ""), policy.get("restartPolicy", "")
        errors += _unique(name, f"{path}[{index}]", seen)
        errors += one_of(name, path, ("cpu", "memory"))
        errors += one_of(restart, path, ("NotRequired", "RestartContainer"))
        if spec.get("restartPolicy") == "Never" and restart != "NotRequired":
            text = "must be 'NotRequired' when pod `restartPolicy` is 'Never'"
            errors.append(invalid(path, restart, text))
    return errors


def _restart_policy(container: Obj, path: str) -> list[FieldError]:
    policy, rules = container.get("restartPolicy"), container.get("restartPolicyRules") or ()
    errors: list[FieldError] = []
    if policy is None:
        if not rules:
            return []
        text = "must specify restartPolicy when restart rules are used"
        errors.append(required(f"{path}.restartPolicy", text))
    elif policy not in _RESTART_POLICIES:
        errors.append(not_supported(f"{path}.restartPolicy", policy, _RESTART_POLICIES))
    if len(rules) > _RESTART_RULES_MAX:
        errors.append(too_many(f"{path}.restartPolicyRules", len(rules), _RESTART_RULES_MAX))
    for index, rule in enumerate(rules):
        where = f"{path}.restartPolicyRules[{index}]"
        action, codes = rule.get("action", ""), rule.get("exitCodes")
        if action not in {"Restart", "RestartAllContainers"}:
            valid = ("Restart", "RestartAllContainers")
            errors.append(not_supported(f"{where}.action", action, valid))
        if codes is None:
            errors.append(required(f"{where}.exitCodes", "must be specified"))
            continue
        operator = codes.get("operator", "")
        if operator not in {"In", "NotIn"}:
            errors.append(not_supported(f"{where}.exitCodes.operator", operator, ("In", "NotIn")))
        count = len(codes.get("values") or ())
        if count > _EXIT_CODES_MAX:
            errors.append(too_many(f"{where}.exitCodes.values", count, _EXIT_CODES_MAX))
    return errors
