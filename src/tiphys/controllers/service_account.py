"""ServiceAccount controller: every active namespace has a ServiceAccount `default`.

Upstream: pkg/controller/serviceaccount/serviceaccounts_controller.go.
Reads Namespace, ServiceAccount. Writes ServiceAccount.
"""

from typing import Final

from tiphys.api.errors import AlreadyExists, ApiError
from tiphys.api.meta import Obj, ObjectKey, at, is_terminating, name_of, namespace_of
from tiphys.client.controller import Context, KeyedController
from tiphys.controllers.kinds import NAMESPACES, SERVICE_ACCOUNTS
from tiphys.controllers.pod_control import is_namespace_ending

DEFAULT: Final = "default"


class ServiceAccountController(KeyedController):
    name = "service-account-controller"

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._client = context.client_for("service-account-controller")
        self._namespaces = context.informers.of(NAMESPACES)
        self._accounts = context.informers.of(SERVICE_ACCOUNTS)
        self._namespaces.on_change(self._namespace_changed)
        self._accounts.on_change(self._account_changed)

    def _namespace_changed(self, old: Obj | None, new: Obj | None) -> None:
        if new is not None:
            self.queue.add(ObjectKey("", name_of(new)))

    def _account_changed(self, old: Obj | None, new: Obj | None) -> None:
        if new is None and old is not None and name_of(old) == DEFAULT:
            self.queue.add(ObjectKey("", namespace_of(old)))

    async def reconcile(self, key: ObjectKey) -> float | None:
        namespace = self._namespaces.get(key)
        if namespace is None or not is_open(namespace):
            return None
        if self._accounts.get(ObjectKey(key.name, DEFAULT)) is not None:
            return None
        account = {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": DEFAULT, "namespace": key.name},
        }
        try:
            await self._client.create(SERVICE_ACCOUNTS, account)
        except AlreadyExists:
            return None
        except ApiError as exc:
            if not is_namespace_ending(exc):
                raise
        return None


def is_open(namespace: Obj) -> bool:
    """Neither terminating nor gone: things may be made in it."""
    return not is_terminating(namespace) and at(namespace, "status", "phase") != "Terminating"
