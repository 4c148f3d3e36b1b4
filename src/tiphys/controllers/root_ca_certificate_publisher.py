"""Root CA publisher: every active namespace has a ConfigMap kube-root-ca.crt.

Upstream: pkg/controller/certificates/rootcacertpublisher/publisher.go.
Reads Namespace, ConfigMap. Writes ConfigMap.
"""

from typing import Final

from tiphys.api.errors import AlreadyExists, ApiError, NotFound
from tiphys.api.meta import Obj, ObjectKey, name_of, namespace_of
from tiphys.client.controller import Context, KeyedController
from tiphys.controllers.kinds import CONFIG_MAPS, NAMESPACES
from tiphys.controllers.pod_control import is_namespace_ending
from tiphys.controllers.service_account import is_open

NAME: Final = "kube-root-ca.crt"
_ANNOTATIONS: Final = {
    "kubernetes.io/description": "Contains a CA bundle that can be used to verify the "
    "kube-apiserver when using internal endpoints such as the internal service IP or "
    "kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes "
    "clusters."
}


class RootCertificatePublisher(KeyedController):
    name = "root-ca-certificate-publisher"

    def __init__(self, context: Context, root_ca: str) -> None:
        super().__init__()
        self._client = context.client_for("root-ca-cert-publisher")
        self._root_ca = root_ca
        self._namespaces = context.informers.of(NAMESPACES)
        self._maps = context.informers.of(CONFIG_MAPS)
        self._namespaces.on_change(self._namespace_changed)
        self._maps.on_change(self._map_changed)

    def _namespace_changed(self, old: Obj | None, new: Obj | None) -> None:
        if new is not None:
            self.queue.add(ObjectKey("", name_of(new)))

    def _map_changed(self, old: Obj | None, new: Obj | None) -> None:
        found = new or old
        assert found is not None
        if name_of(found) == NAME:
            self.queue.add(ObjectKey("", namespace_of(found)))

    async def reconcile(self, key: ObjectKey) -> float | None:
        namespace = self._namespaces.get(key)
        if namespace is None or not is_open(namespace):
            return None
        existing = self._maps.get(ObjectKey(key.name, NAME))
        wanted = {"ca.crt": self._root_ca}
        if existing is not None:
            if existing.get("data") != wanted:
                try:
                    await self._client.update(CONFIG_MAPS, {**existing, "data": wanted})
                except NotFound:
                    return 0.1
            return None
        created = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": NAME, "namespace": key.name, "annotations": _ANNOTATIONS},
            "data": wanted,
        }
        try:
            await self._client.create(CONFIG_MAPS, created)
        except AlreadyExists:
            return None
        except ApiError as exc:
            if not is_namespace_ending(exc):
                raise
        return None
