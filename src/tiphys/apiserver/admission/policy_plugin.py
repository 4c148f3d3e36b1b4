"""What the plugins of both kinds of admission policies are made of.

The language and what evaluates it are loaded with the first policy.
Upstream: apiserver pkg/admission/plugin/policy/generic/plugin.go.
"""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from tiphys.apiserver.endpoint import Endpoint
from tiphys.apiserver.filters.authorization import RbacAuthorizer

if TYPE_CHECKING:
    from tiphys.apiserver.policies.source import Hooks, Policy

GROUP: Final = "admissionregistration.k8s.io"
P = TypeVar("P", bound="Policy")


class PolicyPlugin(ABC, Generic[P]):
    """`endpoints` may grow: custom resources are asked about too, and may be parameters."""

    def __init__(
        self,
        endpoints: dict[tuple[str, str, str], Endpoint],
        authorizer: RbacAuthorizer,
        kind: str,
    ) -> None:
        """kind: in lower case, of the policies."""
        self.endpoints = endpoints
        self._authorizer = authorizer
        self._namespaces = endpoints["", "v1", "namespaces"].cache
        self._policies = endpoints[GROUP, "v1", kind.removesuffix("y") + "ies"].cache
        self._bindings = endpoints[GROUP, "v1", f"{kind}bindings"].cache
        self._hooks: Hooks[P] | None = None

    @property
    def is_idle(self) -> bool:
        return not self._policies.objects or not self._bindings.objects

    def _loaded(self) -> "Hooks[P]":
        if self._hooks is None:
            self._hooks = self._load()
        return self._hooks

    @abstractmethod
    def _load(self) -> "Hooks[P]":
        """Import what evaluates policies."""
