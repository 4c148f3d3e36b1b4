"""NamespaceLifecycle: nothing new in a namespace that is not there or is going away.

Upstream: apiserver pkg/admission/plugin/namespace/lifecycle/admission.go.
"""

from typing import Final

from tiphys.api.errors import StatusCause, not_found
from tiphys.api.meta import is_terminating
from tiphys.apiserver.admission.chain import ALL, Resources, Write
from tiphys.apiserver.admission.refusal import refuse
from tiphys.storage.watch_cache import WatchCache

IMMORTAL: Final = frozenset({"default", "kube-system", "kube-public"})


class NamespaceLifecycle:
    name = "NamespaceLifecycle"
    resources: Resources = ALL

    def __init__(self, namespaces: WatchCache) -> None:
        self._namespaces = namespaces

    def mutate(self, write: Write) -> None:
        """Raises NotFound, Forbidden. First of all, as upstream: nothing is worth doing before."""
        info = write.info
        if info.resource == "namespaces" and not info.group:
            if write.operation == "DELETE" and info.name in IMMORTAL and not info.subresource:
                raise refuse(write, "this namespace may not be deleted")
            return
        if not info.namespace or write.operation != "CREATE":
            return
        cached = self._namespaces.get(self._namespaces.prefix + info.namespace)
        if cached is None:
            raise not_found("", "namespaces", info.namespace)
        # A look at the bytes is enough for the many that live.
        if b'"deletionTimestamp"' not in cached.tail:
            return
        if is_terminating(cached.decode(self._namespaces.head)):
            text = (
                f"unable to create new content in namespace {info.namespace} because it is being"
                " terminated"
            )
            cause = StatusCause(
                "NamespaceTerminating",
                f"namespace {info.namespace} is being terminated",
                "metadata.namespace",
            )
            raise refuse(write, text, [cause])
