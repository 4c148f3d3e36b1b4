"""A pod's spec and a pod template. Upstream: pkg/apis/core/validation (ValidatePodSpec)."""

from typing import Final

from tiphys.api import names
from tiphys.api.field_errors import (
    FieldError,
    duplicate,
    forbidden,
    invalid,
    not_found,
    required,
    too_long,
)
from tiphys.api.meta import Obj
from tiphys.apiserver.resources.rules import scheduling
from tiphys.apiserver.resources.rules.addresses import legacy_address
from tiphys.apiserver.resources.rules.container import (
    PodFacts,
    containers,
    ephemeral_containers,
    init_containers,
)
from tiphys.apiserver.resources.rules.pod_annotations import MIRROR
from tiphys.apiserver.resources.rules.pod_os import containers_with_paths, host_process, pod_os
from tiphys.apiserver.resources.rules.pod_resources import pod_resources
from tiphys.apiserver.resources.rules.resource_requirements import requirements
from tiphys.apiserver.resources.rules.security_context import host_users, pod_context
from tiphys.apiserver.resources.rules.texts import each, label_name, labels, named, one_of
from tiphys.apiserver.resources.rules.volume import volumes

_SECONDS_MAX: Final = 2**31 - 1
_HOSTNAME_MAX: Final = 64
NAMESERVERS_MAX: Final = 3
SEARCHES_MAX: Final = 32
SEARCH_CHARACTERS_MAX: Final = 2048
_DNS_POLICIES: Final = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")


def pod_spec(spec: Obj, path: str, *, pod: Obj | None = None) -> list[FieldError]:
    """pod is the Pod itself where the spec is no template's."""
    pod_name = None if pod is None else pod["metadata"].get("name", "")
    regular = spec.get("containers") or ()
    errors, mountable = volumes(spec.get("volumes") or (), f"{path}.volumes", pod_name)
    claims = {c.get("name", "") for c in spec.get("resourceClaims") or ()} - {""}
    facts = PodFacts(spec, mountable, claims)
    if claims and pod is not None and MIRROR in (pod["metadata"].get("annotations") or {}):
        text = "static pods do not support resource claims"
        errors += [forbidden("[]", text) for _ in spec["resourceClaims"]]
    else:
        errors += _resource_claims(spec, f"{path}.resourceClaims")
    errors += containers(regular, f"{path}.containers", facts)
    first = spec.get("initContainers") or ()
    errors += init_containers(first, regular, f"{path}.initContainers", facts)
    others = [c.get("name", "") for c in (*regular, *first)]
    ephemeral = spec.get("ephemeralContainers") or ()
    errors += ephemeral_containers(ephemeral, others, f"{path}.ephemeralContainers", facts)
    if spec.get("resources"):
        errors += pod_resources(spec, f"{path}.resources", facts.claims)
    errors += _host_network(spec, path, is_pod=pod is not None)
    errors += one_of(spec.get("restartPolicy", ""), f"{path}.restartPolicy", _RESTART)
    errors += one_of(spec.get("dnsPolicy", ""), f"{path}.dnsPolicy", _DNS_POLICIES)
    errors += labels(spec.get("nodeSelector"), f"{path}.nodeSelector")
    errors += pod_context(spec.get("securityContext"), spec, f"{path}.securityContext")
    errors += scheduling.affinity(spec.get("affinity"), f"{path}.affinity")
    errors += _dns_config(spec, f"{path}.dnsConfig")
    for index, gate in enumerate(spec.get("readinessGates") or ()):
        where = f"{path}.readinessGates[{index}].conditionType"
        errors += label_name(gate.get("conditionType", ""), where)
    gates = spec.get("schedulingGates") or ()
    errors += scheduling.scheduling_gates(gates, f"{path}.schedulingGates")
    spread = spec.get("topologySpreadConstraints") or ()
    errors += scheduling.topology_spread(spread, f"{path}.topologySpreadConstraints")
    errors += host_process(spec, path)
    errors += host_users(spec, path)
    return errors + _names_and_numbers(spec, path)


_RESTART: Final = ("Always", "OnFailure", "Never")


def _resource_claims(spec: Obj, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for index, claim in enumerate(spec.get("resourceClaims") or ()):
        where, name = f"{path}[{index}]", claim.get("name", "")
        if not name:
            errors.append(required(f"{where}.name"))
        elif name in seen:
            errors.append(duplicate(f"{where}.name", name))
        else:
            errors += each(f"{where}.name", name, names.dns_label(name))
        seen.add(name)
        direct, template = claim.get("resourceClaimName"), claim.get("resourceClaimTemplateName")
        shown = {
            "Name": name,
            "ResourceClaimName": direct,
            "ResourceClaimTemplateName": template,
        }
        if direct is not None and template is not None:
            text = (
                "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"
            )
            errors.append(invalid(where, shown, text))
        if direct is None and template is None:
            text = "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"
            errors.append(invalid(where, shown, text))
        for field in ("resourceClaimName", "resourceClaimTemplateName"):
            value = claim.get(field)
            if value is not None:
                errors += each(f"{where}.{field}", value, names.dns_subdomain(value))
    return errors


def _host_network(spec: Obj, path: str, *, is_pod: bool) -> list[FieldError]:
    if not spec.get("hostNetwork"):
        return []
    errors: list[FieldError] = []
    for index, container in enumerate(spec.get("containers") or ()):
        for at, port in enumerate(container.get("ports") or ()):
            host, own = port.get("hostPort", 0), port.get("containerPort", 0)
            if (is_pod or host) and host != own:
                where = f"{path}.containers[{index}].ports[{at}].hostPort"
                text = "must match `containerPort` when `hostNetwork` is true"
                errors.append(invalid(where, host, text))
    return errors


def _dns_config(spec: Obj, path: str) -> list[FieldError]:
    config = spec.get("dnsConfig")
    if spec.get("dnsPolicy") == "None":
        if config is None:
            return [required(path, "must provide `dnsConfig` when `dnsPolicy` is None")]
        if not config.get("nameservers"):
            text = "must provide at least one DNS nameserver when `dnsPolicy` is None"
            return [required(f"{path}.nameservers", text)]
    if config is None:
        return []
    servers, searches = config.get("nameservers") or [], config.get("searches") or []
    errors: list[FieldError] = []
    if len(servers) > NAMESERVERS_MAX:
        text = f"must not have more than {NAMESERVERS_MAX} nameservers"
        errors.append(invalid(f"{path}.nameservers", servers, text))
    for index, server in enumerate(servers):
        errors += legacy_address(server, f"{path}.nameservers[{index}]")
    if len(searches) > SEARCHES_MAX:
        text = f"must not have more than {SEARCHES_MAX} search paths"
        errors.append(invalid(f"{path}.searches", searches, text))
    if len(" ".join(searches)) > SEARCH_CHARACTERS_MAX:
        text = (
            f"must not have more than {SEARCH_CHARACTERS_MAX} characters (including spaces) "
            "in the search list"
        )
        errors.append(invalid(f"{path}.searches", searches, text))
    for index, search in enumerate(searches):
        if search != ".":
            plain = search.removesuffix(".")
            texts = names.dns_subdomain_with_underscore(plain)
            errors += each(f"{path}.searches[{index}]", plain, texts)
    for index, option in enumerate(config.get("options") or ()):
        if not option.get("name"):
            errors.append(required(f"{path}.options[{index}]", "must not be empty"))
    return errors


def _names_and_numbers(spec: Obj, path: str) -> list[FieldError]:
    errors = _host_name_override(spec, path)
    for field, check in (
        ("serviceAccountName", names.dns_subdomain),
        ("nodeName", names.dns_subdomain),
    ):
        errors += named(spec.get(field, ""), f"{path}.{field}", check, needed=False)
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline <= _SECONDS_MAX:
        text = names.range_text(1, _SECONDS_MAX)
        errors.append(invalid(f"{path}.activeDeadlineSeconds", deadline, text))
    for field in ("hostname", "subdomain"):
        errors += named(spec.get(field, ""), f"{path}.{field}", names.dns_label, needed=False)
    errors += scheduling.tolerations(spec.get("tolerations") or (), f"{path}.tolerations")
    for index, alias in enumerate(spec.get("hostAliases") or ()):
        where = f"{path}.hostAliases[{index}]"
        errors += legacy_address(alias.get("ip", ""), f"{where}.ip")
        for at, hostname in enumerate(alias.get("hostnames") or ()):
            errors += each(f"{where}.hostnames[{at}]", hostname, names.dns_subdomain(hostname))
    value = spec.get("priorityClassName", "")
    errors += named(value, f"{path}.priorityClassName", names.dns_subdomain, needed=False)
    value = spec.get("runtimeClassName")
    if value is not None:
        errors += each(f"{path}.runtimeClassName", value, names.dns_subdomain(value))
    policy = spec.get("preemptionPolicy")
    if policy is not None:
        errors += one_of(policy, f"{path}.preemptionPolicy", ("PreemptLowerPriority", "Never"))
    if spec.get("overhead"):
        errors += requirements({"limits": spec["overhead"]}, f"{path}.overhead", ())
    return errors + pod_os(spec, path) + _file_keys(spec, path)


def _host_name_override(spec: Obj, path: str) -> list[FieldError]:
    name = spec.get("hostnameOverride")
    if name is None:
        return []
    where = f"{path}.hostnameOverride"
    errors: list[FieldError] = []
    if spec.get("setHostnameAsFQDN"):
        text = "may not be specified when setHostnameAsFQDN is true"
        errors.append(forbidden(where, text))
    if spec.get("hostNetwork"):
        errors.append(forbidden(where, "may not be specified when hostNetwork is true"))
    if len(name) > _HOSTNAME_MAX:
        errors.append(too_long(where, _HOSTNAME_MAX))
    return errors + each(where, name, names.dns_subdomain(name))


def _file_keys(spec: Obj, path: str) -> list[FieldError]:
    """Variables from files need a volume that the pod can write."""
    errors: list[FieldError] = []
    for container, above in containers_with_paths(spec, path):
        for at, variable in enumerate(container.get("env") or ()):
            ref = (variable.get("valueFrom") or {}).get("fileKeyRef")
            if ref is None:
                continue
            found = {v.get("name", ""): v for v in spec.get("volumes") or ()}
            name = ref.get("volumeName", "")
            where = f"{above}.env[{at}].valueFrom.fileKeyRef.volumeName"
            if name not in found:
                errors.append(not_found(where, name))
            elif "emptyDir" not in found[name]:
                text = "referenced volume must be of type emptyDir"
                errors.append(invalid(where, name, text))
    return errors
