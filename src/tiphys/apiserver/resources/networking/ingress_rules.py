"""Validation of Ingresses. Upstream: pkg/apis/networking/validation/validation.go."""

from typing import Final

from tiphys.api import names
from tiphys.api.field_errors import FieldError, invalid, required
from tiphys.api.meta import Obj, annotations_of
from tiphys.apiserver.resources.rules.addresses import parse_address
from tiphys.apiserver.resources.rules.texts import each, named, port_number, unsupported

_CLASS_ANNOTATION: Final = "kubernetes.io/ingress.class"
_BAD_SEQUENCES: Final = ("//", "/./", "/../", "%2f", "%2F")
_BAD_SUFFIXES: Final = ("/..", "/.")
_PATH_TYPES: Final = ("Exact", "ImplementationSpecific", "Prefix")


def validate_create(ingress: Obj) -> list[FieldError]:
    """The annotation that named the class before there was a field."""
    noted = annotations_of(ingress).get(_CLASS_ANNOTATION)
    named_class = ingress["spec"].get("ingressClassName")
    if noted is None or named_class is None or noted == named_class:
        return []
    text = "must match `ingressClassName` when both are specified"
    return [invalid(f"annotations.{_CLASS_ANNOTATION}", noted, text)]


def validate(ingress: Obj) -> list[FieldError]:
    spec = ingress["spec"]
    rules, backend = spec.get("rules") or (), spec.get("defaultBackend")
    errors: list[FieldError] = []
    if not rules and backend is None:
        text = "either `defaultBackend` or `rules` must be specified"
        errors.append(invalid("spec", spec.get("rules"), text))
    if backend is not None:
        errors += _backend(backend, "spec.defaultBackend")
    for index, rule in enumerate(rules):
        errors += _rule(rule, f"spec.rules[{index}]")
    for index, tls in enumerate(spec.get("tls") or ()):
        errors += _tls(tls, f"spec.tls[{index}]")
    name = spec.get("ingressClassName")
    if name is not None:
        errors += each("spec.ingressClassName", name, names.dns_subdomain(name))
    return errors


def _host(host: str, path: str) -> list[FieldError]:
    if "*" in host:
        return each(path, host, names.wildcard_dns_subdomain(host))
    return each(path, host, names.dns_subdomain(host))


def _rule(rule: Obj, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    host = rule.get("host", "")
    if host:
        if parse_address(host) is not None:
            text = "must be a DNS name, not an IP address"
            errors.append(invalid(f"{path}.host", host, text))
        errors += _host(host, f"{path}.host")
    http = rule.get("http")
    if http is None:
        return errors
    paths = http.get("paths") or ()
    if not paths:
        errors.append(required(f"{path}.http.paths"))
    for index, item in enumerate(paths):
        errors += _path(item, f"{path}.http.paths[{index}]")
    return errors


def _path(item: Obj, path: str) -> list[FieldError]:
    kind, value = item.get("pathType"), item.get("path", "")
    if kind is None:
        return [required(f"{path}.pathType", "pathType must be specified")]
    errors: list[FieldError] = []
    where = f"{path}.path"
    if kind not in _PATH_TYPES:
        errors.append(unsupported(f"{path}.pathType", kind, _PATH_TYPES))
    elif (value or kind != "ImplementationSpecific") and not value.startswith("/"):
        errors.append(invalid(where, value, "must be an absolute path"))
    if kind in {"Exact", "Prefix"}:
        errors += [
            invalid(where, value, f"must not contain '{s}'") for s in _BAD_SEQUENCES if s in value
        ]
        errors += [
            invalid(where, value, f"cannot end with '{s}'")
            for s in _BAD_SUFFIXES
            if value.endswith(s)
        ]
    return errors + _backend(item.get("backend") or {}, f"{path}.backend")


def _backend(backend: Obj, path: str) -> list[FieldError]:
    resource, service = backend.get("resource"), backend.get("service")
    if resource is not None and service is not None:
        return [invalid(path, "", "cannot set both resource and service backends")]
    if resource is not None:
        return _resource(resource, f"{path}.resource")
    if service is None:
        return [invalid(path, "", "resource or service backend is required")]
    errors = named(service.get("name", ""), f"{path}.service.name", names.dns_label)
    port = service.get("port") or {}
    if port.get("name") and port.get("number"):
        errors.append(invalid(path, "", "cannot set both port name & port number"))
    elif port.get("name"):
        where = f"{path}.service.port.name"
        errors += each(where, port["name"], names.port_name(port["name"]))
    elif port.get("number"):
        errors += port_number(port["number"], f"{path}.service.port.number")
    else:
        errors.append(required(path, "port name or number is required"))
    return errors


def _resource(resource: Obj, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    group = resource.get("apiGroup")
    if group is not None:
        errors += each(f"{path}.apiGroup", group, names.dns_subdomain(group))
    for field in ("kind", "name"):
        value = resource.get(field, "")
        if not value:
            errors.append(required(f"{path}.{field}"))
        else:
            errors += each(f"{path}.{field}", value, names.path_segment_name(value, False))
    return errors


def _tls(tls: Obj, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, host in enumerate(tls.get("hosts") or ()):
        errors += _host(host, f"{path}.hosts[{index}]")
    name = tls.get("secretName", "")
    return errors + (each(f"{path}.secretName", name, names.dns_subdomain(name)) if name else [])
