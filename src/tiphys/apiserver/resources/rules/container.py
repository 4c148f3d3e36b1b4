"""Containers: ports, environment, mounts, probes, hooks.

Upstream: pkg/apis/core/validation/validation.go (validateContainers and what it calls).
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

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
from tiphys.apiserver.resources.rules import downward_api
from tiphys.apiserver.resources.rules.paths import local_descending, local_non_reserved
from tiphys.apiserver.resources.rules.resource_requirements import requirements
from tiphys.apiserver.resources.rules.security_context import container_context
from tiphys.apiserver.resources.rules.texts import (
    PROTOCOLS,
    each,
    named,
    not_negative,
    one_of,
    port_number,
    port_or_name,
)

_ONE_HANDLER: Final = "may not specify more than 1 handler type"
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
        errors += _lifecycle_and_probes(container, where, pod)
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
        is_sidecar = container.get("restartPolicy") == "Always"
        if is_sidecar and container.get("restartPolicyRules"):
            text = (
                "restartPolicyRules are not allowed for init containers with restart policy Always"
            )
            errors.append(forbidden(f"{where}.restartPolicyRules", text))
        elif not is_sidecar:
            errors += _restart_policy(container, where)
        errors += _unique(container.get("name", ""), f"{where}.name", seen)
        errors += _host_ports([container], path)
        if is_sidecar:
            errors += _lifecycle_and_probes(container, where, pod)
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
    errors += _env_from(container.get("envFrom") or (), f"{path}.envFrom")
    errors += _mounts(container, path, pod.volumes)
    errors += _devices(container, path, pod.volumes)
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


def environment(values: Sequence[Obj], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, variable in enumerate(values):
        where = f"{path}[{index}]"
        errors += named(variable.get("name", ""), f"{where}.name", names.env_var_name)
        if variable.get("valueFrom") is not None:
            errors += _value_from(variable, f"{where}.valueFrom")
    return errors


def _value_from(variable: Obj, path: str) -> list[FieldError]:
    source = variable["valueFrom"]
    errors: list[FieldError] = []
    if "fieldRef" in source:
        fields = downward_api.ENV_FIELDS
        errors += downward_api.field_ref(source["fieldRef"], f"{path}.fieldRef", fields)
    if "resourceFieldRef" in source:
        where = f"{path}.resourceFieldRef"
        errors += downward_api.resource_ref(source["resourceFieldRef"], where, of_file=False)
    for field in ("configMapKeyRef", "secretKeyRef"):
        if field in source:
            errors += _key_selector(source[field], f"{path}.{field}")
    if "fileKeyRef" in source:
        errors += _file_key(source["fileKeyRef"], f"{path}.fileKeyRef")
    if not source:
        text = (
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, "
            "`secretKeyRef` or `fileKeyRef`"
        )
        errors.append(invalid(path, "", text))
    elif variable.get("value"):
        errors.append(invalid(path, "", "may not be specified when `value` is not empty"))
    elif len(source) > 1:
        text = "may not have more than one field specified at a time"
        errors.append(invalid(path, "", text))
    return errors


def _key_selector(selector: Obj, path: str) -> list[FieldError]:
    name = selector.get("name", "")
    errors = each(f"{path}.name", name, names.dns_subdomain(name))
    return errors + named(selector.get("key", ""), f"{path}.key", names.config_map_key)


def _file_key(selector: Obj, path: str) -> list[FieldError]:
    errors = named(selector.get("key", ""), f"{path}.key", names.env_var_name)
    errors += named(selector.get("volumeName", ""), f"{path}.volumeName", names.dns_label)
    file = selector.get("path", "")
    if not file:
        return [*errors, required(f"{path}.path")]
    return errors + local_non_reserved(file, f"{path}.path")


def _env_from(values: Sequence[Obj], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, source in enumerate(values):
        where = f"{path}[{index}]"
        if source.get("prefix"):
            errors += each(
                f"{where}.prefix", source["prefix"], names.env_var_name(source["prefix"])
            )
        found = [f for f in ("configMapRef", "secretRef") if f in source]
        for field in found:
            name = source[field].get("name", "")
            errors += named(name, f"{where}.{field}.name", names.dns_subdomain)
        if not found:
            errors.append(invalid(path, "", "must specify one of: `configMapRef` or `secretRef`"))
        elif len(found) > 1:
            text = "may not have more than one field specified at a time"
            errors.append(invalid(path, "", text))
    return errors


def _mounts(container: Obj, path: str, volumes: Mapping[str, Obj]) -> list[FieldError]:
    errors: list[FieldError] = []
    devices = container.get("volumeDevices") or ()
    names_used = {d.get("name", "") for d in devices}
    paths_used = {d.get("devicePath", "") for d in devices}
    seen: set[str] = set()
    for index, mount in enumerate(container.get("volumeMounts") or ()):
        where = f"{path}.volumeMounts[{index}]"
        name, target = mount.get("name", ""), mount.get("mountPath", "")
        if not name:
            errors.append(required(f"{where}.name"))
        if name not in volumes:
            errors.append(not_found(f"{where}.name", name))
        if not target:
            errors.append(required(f"{where}.mountPath"))
        if target in seen:
            errors.append(invalid(f"{where}.mountPath", target, "must be unique"))
        seen.add(target)
        if name in names_used:
            text = "must not already exist in volumeDevices"
            errors.append(invalid(f"{where}.name", name, text))
        if target in paths_used:
            text = "must not already exist as a path in volumeDevices"
            errors.append(invalid(f"{where}.mountPath", target, text))
        errors += _mount_options(mount, container, f"{path}.volumeMounts", where)
    return errors


def _mount_options(mount: Obj, container: Obj, path: str, where: str) -> list[FieldError]:
    errors: list[FieldError] = []
    sub, expression = mount.get("subPath", ""), mount.get("subPathExpr", "")
    if sub:
        errors += local_descending(sub, f"{path}.subPath")
    if expression:
        if sub:
            text = "subPathExpr and subPath are mutually exclusive"
            errors.append(invalid(f"{where}.subPathExpr", expression, text))
        errors += local_descending(expression, f"{path}.subPathExpr")
    mode = mount.get("mountPropagation")
    if mode is not None:
        valid = ("Bidirectional", "HostToContainer", "None")
        if mode not in valid:
            errors.append(not_supported(f"{path}.mountPropagation", mode, valid))
        privileged = (container.get("securityContext") or {}).get("privileged")
        if mode == "Bidirectional" and not privileged:
            text = "Bidirectional mount propagation is available only to privileged containers"
            errors.append(forbidden(f"{path}.mountPropagation", text))
    recursive = mount.get("recursiveReadOnly")
    where = f"{path}.recursiveReadOnly"
    if recursive in {"Enabled", "IfPossible"}:
        if not mount.get("readOnly"):
            errors.append(forbidden(where, "may only be specified when readOnly is true"))
        if mode not in {None, "None"}:
            text = "may only be specified when mountPropagation is None or not specified"
            errors.append(forbidden(where, text))
    elif recursive not in {None, "Disabled"}:
        errors.append(not_supported(where, recursive, ("Disabled", "Enabled", "IfPossible")))
    return errors


def _devices(container: Obj, path: str, volumes: Mapping[str, Obj]) -> list[FieldError]:
    errors: list[FieldError] = []
    mounts = container.get("volumeMounts") or ()
    seen_names: set[str] = set()
    seen_paths: set[str] = set()
    for index, device in enumerate(container.get("volumeDevices") or ()):
        where = f"{path}.volumeDevices[{index}]"
        name, target = device.get("name", ""), device.get("devicePath", "")
        if not name:
            errors.append(required(f"{where}.name"))
        if name in seen_names:
            errors.append(invalid(f"{where}.name", name, "must be unique"))
        volume = volumes.get(name)
        if volume is None:
            errors.append(not_found(f"{where}.name", name))
        elif "persistentVolumeClaim" not in volume and "ephemeral" not in volume:
            text = (
                "can only use volume source type of PersistentVolumeClaim or Ephemeral "
                "for block mode"
            )
            errors.append(invalid(f"{where}.name", name, text))
        if not target:
            errors.append(required(f"{where}.devicePath"))
        if target in seen_paths:
            errors.append(invalid(f"{where}.devicePath", target, "must be unique"))
        if target and ".." in target.split("/"):
            text = "can not contain backsteps ('..')"
            errors.append(invalid(f"{where}.devicePath", target, text))
        seen_names.add(name)
        seen_paths.add(target)
        if name in {m.get("name", "") for m in mounts}:
            text = "must not already exist in volumeMounts"
            errors.append(invalid(f"{where}.name", name, text))
        if target in {m.get("mountPath", "") for m in mounts}:
            text = "must not already exist as a path in volumeMounts"
            errors.append(invalid(f"{where}.devicePath", target, text))
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


def _lifecycle_and_probes(container: Obj, path: str, pod: PodFacts) -> list[FieldError]:
    errors: list[FieldError] = []
    lifecycle = container.get("lifecycle")
    if lifecycle is not None:
        for hook in ("postStart", "preStop"):
            if hook in lifecycle:
                errors += handler(lifecycle[hook], f"{path}.lifecycle.{hook}", pod.grace_seconds)
        if "stopSignal" in lifecycle and not (pod.spec.get("os") or {}).get("name"):
            text = "may not be set for containers with empty `spec.os.name`"
            errors.append(forbidden(f"{path}.lifecycle.stopSignal", text))
    for field in ("livenessProbe", "readinessProbe", "startupProbe"):
        if field in container:
            errors += _probe(container[field], f"{path}.{field}", field, pod.grace_seconds)
    return errors


_PROBE_NUMBERS: Final = (
    "initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold",
    "failureThreshold",
)  # fmt: skip


def _probe(probe: Obj, path: str, field: str, grace: int) -> list[FieldError]:
    errors = handler(probe, path, grace)
    for number in _PROBE_NUMBERS:
        errors += not_negative(probe, number, path)
    own_grace = probe.get("terminationGracePeriodSeconds")
    where = f"{path}.terminationGracePeriodSeconds"
    if own_grace is not None and own_grace <= 0:
        errors.append(invalid(where, own_grace, "must be greater than 0"))
    if field == "readinessProbe":
        if own_grace is not None:
            errors.append(invalid(where, own_grace, "must not be set for readinessProbes"))
    elif probe.get("successThreshold", 0) != 1:
        value = probe.get("successThreshold", 0)
        errors.append(invalid(f"{path}.successThreshold", value, "must be 1"))
    return errors


def handler(value: Obj, path: str, grace: int) -> list[FieldError]:
    """What a probe or hook does: exactly one thing."""
    errors: list[FieldError] = []
    found = 0
    for field in ("exec", "httpGet", "tcpSocket", "grpc", "sleep"):
        if value.get(field) is None:
            continue
        found += 1
        where = f"{path}.{field}"
        if found > 1:
            errors.append(forbidden(where, _ONE_HANDLER))
        else:
            errors += _action(field, value[field], where, grace)
    return errors if found else [required(path, "must specify a handler type")]


def _action(field: str, action: Obj, path: str, grace: int) -> list[FieldError]:
    match field:
        case "exec":
            return [] if action.get("command") else [required(f"{path}.command")]
        case "httpGet":
            return _http_get(action, path)
        case "tcpSocket":
            return port_or_name(action.get("port", 0), f"{path}.port")
        case "grpc":
            return port_number(action.get("port", 0), f"{path}.port")
    seconds: Any = action.get("seconds", 0)
    if 0 <= seconds <= grace:
        return []
    text = f"must be non-negative and less than terminationGracePeriodSeconds ({grace})"
    return [invalid(path, seconds, text)]


def _http_get(action: Obj, path: str) -> list[FieldError]:
    errors = [] if action.get("path") else [required(f"{path}.path")]
    errors += port_or_name(action.get("port", 0), f"{path}.port")
    scheme = action.get("scheme", "")
    if scheme not in {"HTTP", "HTTPS"}:
        errors.append(not_supported(f"{path}.scheme", scheme, ("HTTP", "HTTPS")))
    for header in action.get("httpHeaders") or ():
        name = header.get("name", "")
        errors += each(f"{path}.httpHeaders", name, names.http_header_name(name))
    return errors
