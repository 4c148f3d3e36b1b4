"""The environment of a container.

Upstream: pkg/kubelet/kubelet_pods.go (makeEnvironmentVariables), envvars/envvars.go.
"""

from collections.abc import Iterable, Mapping
from typing import Final, Protocol

from tiphys.api.meta import Obj, at, name_of, namespace_of
from tiphys.kubelet.expansion import expand
from tiphys.kubelet.field_ref import FieldRefError, field_value, resource_value

MASTER_SERVICES: Final = ("kubernetes",)  # Every container learns of these from "default".


class ConfigError(Exception):
    """The container cannot be configured: becomes CreateContainerConfigError."""


class Sources(Protocol):
    """Config maps and secrets of the pod's namespace; None where there is none."""

    def config_map(self, name: str) -> Obj | None: ...
    def secret(self, name: str) -> dict[str, str] | None:
        """The secret's data, decoded; bytes that are not UTF-8 are replaced."""
        ...


def environment(
    pod: Obj,
    container: Obj,
    *,
    sources: Sources,
    services: Iterable[Obj],
    allocatable: dict[str, str],
) -> dict[str, str]:
    """Names and values in order. Raises ConfigError."""
    values = service_variables(pod, services)
    own: dict[str, str] = {}
    for source in container.get("envFrom") or []:
        own |= _from_source(pod, source, sources)
    # What a user sets may refer to service variables, and hides those of the same name.
    known = {**values, **own}
    for variable in container.get("env") or []:
        found = _value(pod, container, variable, known, sources, allocatable)
        if found is not None:
            own.pop(variable["name"], None)
            own[variable["name"]] = known[variable["name"]] = found
    return own | {name: value for name, value in values.items() if name not in own}


def _from_source(pod: Obj, source: Obj, sources: Sources) -> dict[str, str]:
    prefix = source.get("prefix") or ""
    data: Mapping[str, str] | None
    if reference := source.get("configMapRef"):
        found = sources.config_map(reference["name"])
        data, kind = (found.get("data") or {}) if found is not None else None, "configmap"
    elif reference := source.get("secretRef"):
        data, kind = sources.secret(reference["name"]), "secret"
    else:
        return {}
    if data is None:
        if reference.get("optional"):
            return {}
        raise ConfigError(f'{kind} "{reference["name"]}" not found')
    return {prefix + key: data[key] for key in sorted(data)}


def _value(
    pod: Obj,
    container: Obj,
    variable: Obj,
    known: dict[str, str],
    sources: Sources,
    allocatable: dict[str, str],
) -> str | None:
    """None where an optional reference leads nowhere: then there is no such variable."""
    source = variable.get("valueFrom")
    if not source:
        return expand(variable.get("value") or "", known)
    try:
        if reference := source.get("fieldRef"):
            return field_value(pod, reference["fieldPath"])
        if reference := source.get("resourceFieldRef"):
            return resource_value(pod, container, reference, allocatable)
    except FieldRefError as exc:
        raise ConfigError(str(exc)) from exc
    if reference := source.get("configMapKeyRef"):
        return _from_config_map(pod, reference, sources)
    if reference := source.get("secretKeyRef"):
        return _from_secret(pod, reference, sources)
    return ""


def _from_config_map(pod: Obj, reference: Obj, sources: Sources) -> str | None:
    name, key = reference["name"], reference["key"]
    found = sources.config_map(name)
    if found is not None and key in (found.get("data") or {}):
        return str(found["data"][key])
    if reference.get("optional"):
        return None
    if found is None:
        raise ConfigError(f'configmap "{name}" not found')
    raise ConfigError(f"couldn't find key {key} in ConfigMap {namespace_of(pod)}/{name}")


def _from_secret(pod: Obj, reference: Obj, sources: Sources) -> str | None:
    name, key = reference["name"], reference["key"]
    found = sources.secret(name)
    if found is not None and key in found:
        return found[key]
    if reference.get("optional"):
        return None
    if found is None:
        raise ConfigError(f'secret "{name}" not found')
    raise ConfigError(f"couldn't find key {key} in Secret {namespace_of(pod)}/{name}")


def service_variables(pod: Obj, services: Iterable[Obj]) -> dict[str, str]:
    """Docker-link variables of the namespace's services, and of kubernetes in any case."""
    links = at(pod, "spec", "enableServiceLinks", default=True)
    chosen: dict[str, Obj] = {}
    for service in services:
        address = at(service, "spec", "clusterIP", default="None")
        if address in ("", "None"):
            continue
        name, namespace = name_of(service), namespace_of(service)
        if namespace == "default" and name in MASTER_SERVICES:
            chosen.setdefault(name, service)
        elif links and namespace == namespace_of(pod):
            chosen[name] = service
    values: dict[str, str] = {}
    for name in sorted(chosen):
        values |= _variables_of(name, chosen[name])
    return values


def _variables_of(name: str, service: Obj) -> dict[str, str]:
    address = service["spec"]["clusterIP"]
    ports = at(service, "spec", "ports", default=[])
    if not ports:
        return {}
    prefix = name.upper().replace("-", "_")
    host = f"[{address}]" if ":" in address else address
    values = {f"{prefix}_SERVICE_HOST": address, f"{prefix}_SERVICE_PORT": str(ports[0]["port"])}
    for port in ports:
        if port.get("name"):
            suffix = port["name"].upper().replace("-", "_")
            values[f"{prefix}_SERVICE_PORT_{suffix}"] = str(port["port"])
    for index, port in enumerate(ports):
        protocol = str(port.get("protocol") or "TCP")
        url = f"{protocol.lower()}://{host}:{port['port']}"
        if index == 0:
            values[f"{prefix}_PORT"] = url
        each = f"{prefix}_PORT_{port['port']}_{protocol}"
        values[each] = url
        values[f"{each}_PROTO"] = protocol.lower()
        values[f"{each}_PORT"] = str(port["port"])
        values[f"{each}_ADDR"] = address
    return values
