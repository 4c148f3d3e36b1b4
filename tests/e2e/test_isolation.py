"""A team's namespace: more than 200 ways to look out of it, each refused.

Which ones: isolation_ways.py for the API; here those over the network and with a pod's own token.
"""

import http.client
import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from e2e.clusters import Cluster, until
from e2e.isolation_ways import ALLOWED, WAYS, Way
from tiphys.client import kubeconfig
from tiphys.cluster import metrics_ports

USER = "team-admin"
SERVE = "mkdir -p /w && echo secret > /w/index.html && exec httpd -f -p 8080 -h /w"


class Place:
    """The team's namespace, another one, and what is in them."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.team = f"team{cluster.name}"
        self.other = f"other{cluster.name}"
        self.file = cluster.home / f"{self.team}.kubeconfig"
        self.node = ""
        self.words: dict[str, str] = {}

    def make(self) -> None:
        self.cluster.kubectl("create", "namespace", self.other)
        self.cluster.tiphys(
            "namespace", "create", self.team, "--user", USER, "--cpu", "2", "--memory", "1Gi",
            "--isolated", "--kubeconfig", str(self.file),
        )  # fmt: skip
        self._fill(self.other, "target")
        self._fill(self.team, "mine")
        node = self.cluster.get("nodes")["items"][0]
        address = next(a["address"] for a in node["status"]["addresses"])
        target = until(lambda: self._ready(self.other, "target"), 60, "the other's pod")
        until(lambda: self._ready(self.team, "mine"), 60, "the team's pod")
        service = self.cluster.get("service", "target", "-n", self.other)["spec"]
        server = urlsplit(kubeconfig.load(self.file).server)
        self.words = {
            "team": self.team,
            "other": self.other,
            "user": USER,
            "node": node["metadata"]["name"],
            "address": address,
            "target": target["status"]["podIP"],
            "service": service["clusterIP"],
            "nodeport": str(service["ports"][0]["nodePort"]),
            "gateway": server.hostname or "",
            "port": str(server.port),
        }

    def _fill(self, namespace: str, name: str) -> None:
        container = {
            "name": "c",
            "image": "busybox",
            "command": ["sh", "-c", SERVE],
            "ports": [{"containerPort": 8080}],
        }
        labels = {"app": name}
        spec = {"containers": [container], "terminationGracePeriodSeconds": 0}
        ports = [{"port": 8080, "targetPort": 8080}]
        items: list[dict[str, Any]] = [
            _object("Pod", name, spec=spec, labels=labels),
            _object("Service", name, spec={"selector": labels, "ports": ports, "type": "NodePort"}),
            _object("Secret", "key", stringData={"password": "secret"}),
            _object("ConfigMap", "key", data={"password": "secret"}),
        ]
        if namespace == self.team:
            outside = f"target.{self.other}.svc.cluster.local"
            name_of_other = {"type": "ExternalName", "externalName": outside, "ports": ports}
            items.append(_object("Service", "out", spec=name_of_other))
            items.append(_object("Service", "own", spec={"selector": labels, "ports": ports}))
        document = {"apiVersion": "v1", "kind": "List", "items": items}
        text = json.dumps(document)
        until(
            lambda: "default" in self.cluster.kubectl("get", "sa", "-n", namespace, check=False),
            what="the ServiceAccount",
        )
        self.cluster.kubectl("apply", "-f", "-", "-n", namespace, stdin=text)

    def _ready(self, namespace: str, name: str) -> Any:
        pod = self.cluster.get("pod", name, "-n", namespace)
        conditions = pod.get("status", {}).get("conditions") or []
        return pod if {"Ready": "True"} in [{c["type"]: c["status"]} for c in conditions] else None

    def filled(self, value: Any) -> Any:
        """With the names of this place; only our own words are replaced."""
        text = json.dumps(value)
        for word, name in self.words.items():
            text = text.replace(f"{{{word}}}", name)
        return json.loads(text)

    def ask(self, way: Way, file: Path | None = None, token: str = "") -> int:
        """The status of a request; as the team's user, another file's, or with a token."""
        access = kubeconfig.load(file or self.file)
        context = access.tls()
        if token:  # Without the certificate, which would say who asks.
            context = ssl.create_default_context(cadata=(access.ca_data or b"").decode())
        server = urlsplit(access.server)
        connection = http.client.HTTPSConnection(
            server.hostname or "", server.port, context=context, timeout=10
        )
        body = json.dumps(self.filled(way.body)) if way.body is not None else None
        headers = {"Content-Type": "application/json"} | self.filled(way.headers or {})
        if token:
            headers["Authorization"] = f"Bearer {token}"
        try:
            connection.putrequest(way.method, self.filled(way.path), skip_accept_encoding=True)
            for key, value in headers.items():
                connection.putheader(key, value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body.encode() if body is not None else None)
            return connection.getresponse().status
        finally:
            connection.close()

    def run(self, namespace: str, pod: str, *command: str) -> str:
        return self.cluster.kubectl("exec", pod, "-n", namespace, "--", *command, check=False)

    def fetched(self, url: str, namespace: str = "", pod: str = "mine") -> str:
        """What a pod gets of a URL, errors included."""
        address = self.filled(url)
        words = ("wget", "-T", "2", "-q", "-O", "-", address)
        return self.run(namespace or self.team, pod, *words)


def _object(kind: str, name: str, labels: dict[str, str] | None = None, **parts: Any) -> Any:
    metadata = {"name": name, "labels": labels or {}}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, **parts}


@pytest.fixture(scope="module")
def place(cluster: Cluster) -> Iterator[Place]:
    found = Place(cluster)
    try:
        found.make()
        yield found
    finally:
        for namespace in (found.team, found.other):
            cluster.kubectl("delete", "namespace", namespace, "--wait=false", check=False)


def test_there_are_200_ways() -> None:
    assert len(WAYS) + len(NETWORK) + len(WITH_ITS_TOKEN) >= 200
    assert len({way.name for way in WAYS}) == len(WAYS)


@pytest.mark.parametrize("way", WAYS, ids=lambda w: w.name)
def test_the_api_refuses(place: Place, way: Way) -> None:
    assert place.ask(way) in way.refusals


@pytest.mark.parametrize("way", ALLOWED, ids=lambda w: w.name)
def test_what_upstream_tells_everybody(place: Place, way: Way) -> None:
    assert place.ask(way) in (200, 201)


READ_BY_ADMIN = [way for way in WAYS if way.name.startswith(("list ", "get /api/v1/namespaces/{o"))]


def test_an_administrator_is_not_refused(place: Place) -> None:
    """The same reads are there to be had: what is refused above is refused for who asks."""
    admin = place.cluster.home / "state" / place.cluster.name / "kubeconfigs" / "admin.conf"
    refused = [w.name for w in READ_BY_ADMIN if place.ask(w, admin) != 200]
    assert refused == []


def test_it_works_inside(place: Place) -> None:
    """Who is kept apart can still work: read, write, talk to its own Services by name."""
    for kind in ("pods", "services", "secrets", "configmaps", "events", "resourcequotas"):
        way = Way(kind, "GET", f"/api/v1/namespaces/{{team}}/{kind}")
        assert place.ask(way) == 200, kind
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "written"}}
    assert place.ask(Way("w", "POST", "/api/v1/namespaces/{team}/configmaps", body)) == 201
    until(lambda: "secret" in place.fetched("http://own:8080/"), what="its own Service answers")
    assert "secret" in place.fetched("http://mine.{team}.svc.cluster.local:8080/")


# Where a pod of the team must not get: (what, URL).
NETWORK = (
    ("another's pod", "http://{target}:8080/"),
    ("another's Service", "http://{service}:8080/"),
    ("another's Service by name", "http://target.{other}.svc.cluster.local:8080/"),
    ("another's Service by its own name for it", "http://out:8080/"),
    ("another's node port", "http://{address}:{nodeport}/"),
    ("another's node port on the host", "http://{gateway}:{nodeport}/"),
    ("its node's kubelet", "http://{address}:10250/"),
    ("its node's kubelet, read-only port", "http://{address}:10255/pods"),
    ("its node's runtime metrics", f"http://{{address}}:{metrics_ports.RUNTIME_PORT}/metrics"),
    ("its node's proxy metrics", f"http://{{address}}:{metrics_ports.PROXY_PORT}/metrics"),
    ("its node's DNS metrics", f"http://{{address}}:{metrics_ports.DNS_PORT}/metrics"),
    ("the controllers", f"http://{{gateway}}:{metrics_ports.CONTROLLERS_PORT}/metrics"),
    ("the scheduler", f"http://{{gateway}}:{metrics_ports.SCHEDULER_PORT}/metrics"),
    ("the cloud controllers", f"http://{{gateway}}:{metrics_ports.CLOUD_PORT}/metrics"),
    ("the API server", "http://{gateway}:{port}/version"),
    ("the API server's Service", "http://kubernetes.default.svc.cluster.local:443/version"),
    ("etcd of a master", "http://{gateway}:2379/version"),
    ("the images of its node", "http://127.0.0.1:10270/v2/"),
    ("a cloud's metadata", "http://169.254.169.254/latest/meta-data/"),
    ("the machine's own ssh", "http://{gateway}:22/"),
)


NO_ANSWER = ("timed out", "can't connect to remote host", "command terminated with exit code 143")


@pytest.mark.parametrize(("what", "url"), NETWORK, ids=[what for what, _ in NETWORK])
def test_the_network_refuses(place: Place, what: str, url: str) -> None:
    """Neither an answer nor a refusal by whoever is there: nothing comes back at all."""
    said = place.fetched(url)
    # Anybody who answers, be it in TLS or with an error, makes wget say something else.
    assert any(words in said for words in NO_ANSWER), said


THERE = (
    "another's pod",
    "another's Service",
    "another's Service by name",
    "another's node port",
    "its node's kubelet",
    "its node's runtime metrics",
    "its node's proxy metrics",
    "its node's DNS metrics",
    "the controllers",
    "the scheduler",
    "the API server",
)


@pytest.mark.parametrize("what", THERE)
def test_who_is_not_kept_apart_gets_an_answer(place: Place, what: str) -> None:
    """What is refused above is there: a pod of a namespace without policies meets it."""
    said = place.fetched(dict(NETWORK)[what], place.other, "target")
    assert not any(words in said for words in NO_ANSWER), said


def test_the_other_way_round(place: Place) -> None:
    mine = place.cluster.get("pod", "mine", "-n", place.team)["status"]["podIP"]
    for url in (f"http://{mine}:8080/", f"http://own.{place.team}.svc.cluster.local:8080/"):
        assert "secret" not in place.fetched(url, place.other, "target")
    reached = place.fetched("http://{target}:8080/", place.other, "target")
    assert "secret" in reached  # Its own pods reach each other: the server is there.


# What the token in its pods does not open either: (path).
WITH_ITS_TOKEN = (
    "/api/v1/namespaces/{team}/secrets",
    "/api/v1/namespaces/{team}/pods",
    "/api/v1/namespaces/{other}/secrets",
    "/api/v1/namespaces/{other}/pods",
    "/api/v1/namespaces",
    "/api/v1/nodes",
    "/api/v1/secrets",
    "/apis/rbac.authorization.k8s.io/v1/clusterroles",
)


@pytest.mark.parametrize("path", WITH_ITS_TOKEN)
def test_its_pods_token_opens_nothing(place: Place, path: str) -> None:
    file = "/var/run/secrets/kubernetes.io/serviceaccount/token"
    token = place.run(place.team, "mine", "cat", file).strip()
    assert token.count(".") == 2
    assert place.ask(Way(path, "GET", path), token=token) == 403


def test_a_pod_cannot_leave_its_container(place: Place) -> None:
    """Pod Security keeps privileges away; the default filter keeps these away from root too."""
    for command in ("mount -t proc proc /mnt", "mknod /d b 8 0 && cat /d", "dmesg", "reboot -f"):
        said = place.run(place.team, "mine", "sh", "-c", f"{command} && echo DONE")
        assert "DONE" not in said, command
