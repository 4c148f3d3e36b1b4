"""Waiting for a cluster to be usable: asked over the API as a user would, until it is so."""

import socket
import struct
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

from tiphys.cluster import access
from tiphys.cluster.profile import Profile

APPLY: Final = "application/apply-patch+yaml"
POLL_SECONDS: Final = 0.01
_DNS_SECONDS: Final = 0.2


class NotReady(Exception):
    """It did not become ready in time: what was still missing."""


class Probe:
    """Asks one profile's API server with its administrator's certificate, or as a joined node."""

    def __init__(self, profile: Profile, began: datetime) -> None:
        import http.client

        from tiphys.client import kubeconfig

        self._profile = profile
        self._began = began
        found = kubeconfig.load(access.path_for(profile, "admin"))
        self._tls = found.tls()
        self._server = urlsplit(found.server)
        self._connection: http.client.HTTPSConnection | None = None

    @classmethod
    def at_once(cls, profile: Profile) -> "Probe":
        """For questions that depend on no start."""
        return cls(profile, datetime.fromtimestamp(0, UTC))

    def get(self, path: str) -> dict[str, object] | None:
        """The JSON at path, or None when there is no such answer yet."""
        status, body = self._ask("GET", path, None)
        if status != 200:
            return None
        return orjson.loads(body) if body.startswith(b"{") else {"text": body.decode()}

    def create(self, path: str, obj: dict[str, object]) -> None:
        """Make an object; one that is there already is fine. Raises NotReady."""
        status, body = self._ask("POST", path, orjson.dumps(obj))
        if status not in (200, 201, 409):
            raise NotReady(f"cannot create at {path}: {status} {body.decode(errors='replace')}")

    def apply(self, path: str, obj: dict[str, Any]) -> None:
        """Make an object, or what it says true of one that is there. Raises NotReady."""
        where = f"{path}/{obj['metadata']['name']}?fieldManager=tiphys&force=true"
        status, body = self._ask("PATCH", where, orjson.dumps(obj), APPLY)
        if status not in (200, 201):
            raise NotReady(f"cannot apply at {path}: {status} {body.decode(errors='replace')}")

    def delete(self, path: str) -> None:
        """No such object is fine. Raises NotReady."""
        status, body = self._ask("DELETE", path, None)
        if status not in (200, 202, 404):
            raise NotReady(f"cannot delete {path}: {status} {body.decode(errors='replace')}")

    def _ask(
        self, method: str, path: str, data: bytes | None, content_type: str = "application/json"
    ) -> tuple[int, bytes]:
        """(status, body); (0, b"") when there is no answer."""
        import http.client

        if self._connection is None:
            self._connection = http.client.HTTPSConnection(
                self._server.hostname or "", self._server.port, context=self._tls, timeout=5
            )
        try:
            headers = {"Content-Type": content_type} if data else {}
            self._connection.request(method, path, data, headers)
            answer = self._connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            self._connection = None
            return 0, b""

    def api_is_ready(self) -> bool:
        return self.get("/readyz") is not None

    def nodes_are_ready(self) -> bool:
        """Every machine of the profile that is switched on."""
        return all(self.node_is_ready(node.name) for node in self._profile.running_nodes)

    def node_is_ready(self, name: str) -> bool:
        node = self.get(f"/api/v1/nodes/{name}")
        return node is not None and is_ready(node) and self._is_alive(node)

    def _is_alive(self, node: object) -> bool:
        """Whether the kubelet has spoken since we began: a status may be from before a restart."""
        from tiphys.api.meta import at, name_of, parse_time

        assert isinstance(node, dict)
        path = f"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{name_of(node)}"
        renewed = at(self.get(path), "spec", "renewTime", default="")
        return bool(renewed) and parse_time(renewed) >= self._began

    def basics_are_there(self) -> bool:
        """What the first pod needs: its ServiceAccount and the cluster's certificate."""
        base = "/api/v1/namespaces/default"
        return (
            self.get(f"{base}/serviceaccounts/default") is not None
            and self.get(f"{base}/configmaps/kube-root-ca.crt") is not None
        )

    def dns_answers(self) -> bool:
        """The name of the API's own Service, asked as a pod would ask."""
        labels = ("kubernetes", "default", "svc", "cluster", "local")
        name = b"".join(bytes([len(part)]) + part.encode() for part in labels) + b"\0"
        query = struct.pack(">HHHHHH", 1, 0x0100, 1, 0, 0, 0) + name + struct.pack(">HH", 1, 1)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.settimeout(_DNS_SECONDS)
            try:
                asking.sendto(query, (self._profile.dns_service, 53))
                answer = asking.recv(512)
            except OSError:
                return False
        return answer.endswith(socket.inet_aton(self._profile.kubernetes_service))


def is_ready(node: object) -> bool:
    from tiphys.api.meta import condition

    found = condition(node, "Ready") if isinstance(node, dict) else None
    return found is not None and found.get("status") == "True"


def wait(what: str, until: Callable[[], bool], seconds: float, alive: Callable[[], bool]) -> None:
    """Poll until it holds. Raises NotReady when time is up or the supervisor has died."""
    deadline = time.monotonic() + seconds
    while not until():
        if not alive():
            raise NotReady(f"{what}: waiting was of no use, what it waits for has ended")
        if time.monotonic() >= deadline:
            raise NotReady(f"{what}: not after {seconds:g} s")
        time.sleep(POLL_SECONDS)
