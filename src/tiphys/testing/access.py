"""Ways into a simulated cluster for clients outside: a kubeconfig file, a bearer token."""

import base64
from contextlib import suppress
from pathlib import Path
from typing import Final

from tiphys.api.errors import AlreadyExists
from tiphys.api.meta import GroupVersionResource, Obj
from tiphys.client import kubeconfig
from tiphys.testing.certificates import VALID_UNTIL
from tiphys.testing.control_plane import ControlPlane

CONTEXT: Final = "tiphys-testing"
ACCOUNT: Final = "tiphys-testing"
NAMESPACE: Final = "kube-system"
_ACCOUNTS: Final = GroupVersionResource("", "v1", "serviceaccounts")
_BINDINGS: Final = GroupVersionResource("rbac.authorization.k8s.io", "v1", "clusterrolebindings")


def write_kubeconfig(path: Path, plane: ControlPlane) -> None:
    """The administrator's, with everything in it: clients copy it about."""
    keys = plane.keys
    cluster = {
        "server": f"https://127.0.0.1:{plane.port}",
        "certificate-authority-data": _encoded(keys.ca),
    }
    user = {
        "client-certificate-data": _encoded(keys.admin[0]),
        "client-key-data": _encoded(keys.admin[1]),
    }
    path.write_bytes(kubeconfig.document(CONTEXT, cluster, user))


def _encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


class Credentials:
    """A ServiceAccount that may do everything, made when it is first asked for."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane
        self._token = ""

    async def token(self) -> str:
        """Valid for as long as anything of the cluster is."""
        if not self._token:
            server = self._plane.server
            assert server is not None
            account = await self._account()
            now = self._plane.clock.now()
            seconds = int((VALID_UNTIL - now).total_seconds())
            self._token, _ = server.tokens.sign(account, [server.tokens.issuer], seconds, {})
        return self._token

    async def _account(self) -> Obj:
        client = self._plane.client
        metadata = {"name": ACCOUNT, "namespace": NAMESPACE}
        binding = {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": ACCOUNT},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": "cluster-admin",
            },
            "subjects": [{"kind": "ServiceAccount", **metadata}],
        }
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}
        with suppress(AlreadyExists):
            await client.create(_BINDINGS, binding)
        with suppress(AlreadyExists):
            return await client.create(_ACCOUNTS, account)
        return await client.get(_ACCOUNTS, ACCOUNT, NAMESPACE)
