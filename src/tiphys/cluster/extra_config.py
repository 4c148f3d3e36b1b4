"""`--extra-config COMPONENT.OPTION=VALUE`: which options of which components can be set.

Upstream's names of components are minikube's, of options upstream's flags. What is not in the
table is refused with what is: a typing error must not start a cluster that differs from the wish.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from tiphys.cli.output import CommandError
from tiphys.lib.durations import seconds

_Config = TypeVar("_Config")
# The cluster's own components need the first two, and nothing that is asked after them can refuse.
_AUTHORIZATION_MODES: Final = ("Node,RBAC", "Node,RBAC,Webhook", "AlwaysAllow")


class Option(NamedTuple):
    """field: of the component's Config. read: raises ValueError for what it cannot be."""

    field: str
    read: Callable[[str], Any]


def _between(low: int, high: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not low <= int(text) <= high:
            raise ValueError(f"a number from {low} to {high} is wanted")
        return int(text)

    return read


def _port_range(text: str) -> tuple[int, int]:
    first, _, last = text.partition("-")
    if not 1 <= int(first) <= int(last) <= 65535:
        raise ValueError("a range of ports is wanted, such as 30000-32767")
    return int(first), int(last)


def _labels(text: str) -> dict[str, str]:
    found = dict(word.split("=", 1) for word in text.split(","))
    if not all(found):
        raise ValueError("labels are wanted as a=b,c=d")
    return found


def _claims(text: str) -> tuple[tuple[str, str], ...]:
    return tuple(_labels(text).items())


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


def _modes(text: str) -> tuple[str, ...]:
    if text not in _AUTHORIZATION_MODES:
        raise ValueError(f"one of {'; '.join(_AUTHORIZATION_MODES)} is wanted")
    return _words(text)


def _review_version(text: str) -> str:
    if text not in ("v1", "v1beta1"):
        raise ValueError("v1 or v1beta1 is wanted")
    return text


def _https(text: str) -> str:
    if not text.startswith("https://"):
        raise ValueError("an https URL is wanted")
    return text


def _file(text: str) -> Path:
    path = Path(text).resolve()
    if not path.is_file():
        raise ValueError(f"there is no file {path}")
    return path


def _authentication_config(text: str) -> Path:
    from tiphys.apiserver.config import ISSUER
    from tiphys.apiserver.filters import authentication_config

    path = _file(text)
    try:
        authentication_config.read(path, [ISSUER])
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    return path


def _token_file(text: str) -> Path:
    from tiphys.apiserver.filters import static_tokens

    path = _file(text)
    try:
        static_tokens.read(path)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    return path


def _taints(text: str) -> tuple[dict[str, str], ...]:
    found = []
    for word in text.split(","):
        label, _, effect = word.rpartition(":")
        key, _, value = label.partition("=")
        if not key or effect not in ("NoSchedule", "PreferNoSchedule", "NoExecute"):
            raise ValueError("taints are wanted as key=value:NoSchedule")
        found.append({"key": key, "value": value, "effect": effect})
    return tuple(found)


OPTIONS: Final[Mapping[str, Mapping[str, Option]]] = {
    "apiserver": {
        "authentication-config": Option("authentication_config", _authentication_config),
        "authorization-mode": Option("authorization_modes", _modes),
        "authorization-webhook-cache-authorized-ttl": Option(
            "authorization_webhook_allowed_seconds", seconds
        ),
        "authorization-webhook-cache-unauthorized-ttl": Option(
            "authorization_webhook_refused_seconds", seconds
        ),
        "authorization-webhook-config-file": Option("authorization_webhook_config", _file),
        "authorization-webhook-version": Option("authorization_webhook_version", _review_version),
        "max-mutating-requests-inflight": Option(
            "max_mutating_requests_inflight", _between(1, 100_000)
        ),
        "max-requests-inflight": Option("max_requests_inflight", _between(1, 100_000)),
        "oidc-ca-file": Option("oidc_ca_file", _file),
        "oidc-client-id": Option("oidc_client_id", str),
        "oidc-groups-claim": Option("oidc_groups_claim", str),
        "oidc-groups-prefix": Option("oidc_groups_prefix", str),
        "oidc-issuer-url": Option("oidc_issuer_url", _https),
        "oidc-required-claim": Option("oidc_required_claims", _claims),
        "oidc-signing-algs": Option("oidc_signing_algs", _words),
        "oidc-username-claim": Option("oidc_username_claim", str),
        "oidc-username-prefix": Option("oidc_username_prefix", str),
        "service-node-port-range": Option("node_ports", _port_range),
        "token-auth-file": Option("token_auth_file", _token_file),
    },
    "controller-manager": {
        "cluster-signing-duration": Option("signing_seconds", seconds),
        "node-cidr-mask-size": Option("node_cidr_mask_size", _between(20, 28)),
        "node-monitor-grace-period": Option("node_monitor_grace_seconds", seconds),
    },
    "kubelet": {
        "max-pods": Option("max_pods", _between(1, 1000)),
        "node-labels": Option("node_labels", _labels),
        "register-with-taints": Option("register_taints", _taints),
    },
    "kube-proxy": {"min-sync-period": Option("min_sync_seconds", seconds)},
    "scheduler": {
        "pod-initial-backoff-seconds": Option("pod_initial_backoff_seconds", seconds),
        "pod-max-backoff-seconds": Option("pod_max_backoff_seconds", seconds),
    },
}


def check(settings: Sequence[str]) -> None:
    """Raises CommandError for the first that cannot be."""
    for setting in settings:
        _read(setting)


def applied(settings: Sequence[str], component: str, config: _Config) -> _Config:
    """The component's configuration with what was set of it. Raises CommandError."""
    found = [_read(setting) for setting in settings]
    changes = {field: value for one, field, value in found if one == component}
    return replace(config, **changes) if changes else config  # type: ignore[type-var]


def _read(setting: str) -> tuple[str, str, Any]:
    """(component, field, value). Raises CommandError."""
    name, equals, text = setting.partition("=")
    component, dot, option = name.partition(".")
    if not equals or not dot:
        raise CommandError(
            f'--extra-config "{setting}" is not COMPONENT.OPTION=VALUE',
            fix="such as kubelet.max-pods=50",
            reason="BAD_VALUE",
        )
    if component not in OPTIONS:
        raise CommandError(
            f'--extra-config: there is no component "{component}"',
            fix=f"components: {', '.join(OPTIONS)}",
            reason="BAD_VALUE",
        )
    known = OPTIONS[component]
    if option not in known:
        raise CommandError(
            f'--extra-config: {component} has no option "{option}" that can be set',
            fix=f"options of {component}: {', '.join(known)}",
            reason="BAD_VALUE",
        )
    try:
        return component, known[option].field, known[option].read(text)
    except ValueError as exc:
        raise CommandError(f"--extra-config {setting}: {exc}", reason="BAD_VALUE") from exc
