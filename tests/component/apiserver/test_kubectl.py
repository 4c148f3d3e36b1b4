"""Sessions of real kubectl against a server of our own."""

import itertools
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.api_server import NOBODY, RunningApiServer, api_server_in_thread
from support.gaps import missing

MANIFEST = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: web, image: busybox, ports: [{containerPort: 80}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {colour: green}
"""


def kubectls() -> list[Path]:
    """The oldest and the newest that are installed side by side, or the one there is."""
    found = shutil.which("kubectl")
    if found is None:
        return []
    beside = Path(found).resolve().parent
    versions = [beside / f"kubectl.{v}" for v in ("1.27", "1.33")]
    return [v for v in versions if v.exists()] or [Path(found)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApiServer]:
    with api_server_in_thread(tmp_path_factory.mktemp("api")) as running:
        yield running


_numbers = itertools.count()
Run = subprocess.CompletedProcess[str]


PROGRAMS: list[Path | None] = [*kubectls()] or [None]


@pytest.fixture(params=PROGRAMS, ids=lambda p: p.name if p else "none")
def kubectl(request: pytest.FixtureRequest, server: RunningApiServer) -> "Kubectl":
    if request.param is None:
        missing("kubectl is not installed")
    session = Kubectl(request.param, server)
    session.namespace = f"test-{next(_numbers)}"
    session("create", "namespace", session.namespace)
    # Controllers do this in a cluster.
    session("create", "serviceaccount", "default")
    return session


class Kubectl:
    def __init__(self, program: Path, server: RunningApiServer) -> None:
        self._program = program
        self._server = server
        self.namespace = "default"

    def run(self, *words: str, stdin: str = "", user: str = "admin") -> Run:
        return subprocess.run(
            [self._program, "-n", self.namespace, *words],
            input=stdin,
            env=self._server.environment(user),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def __call__(self, *words: str, stdin: str = "") -> str:
        done = self.run(*words, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


def test_apply_twice_then_change(kubectl: Kubectl) -> None:
    words = ("apply", "-f", "-")
    assert (
        kubectl(*words, stdin=MANIFEST) == "deployment.apps/web created\nconfigmap/settings created"
    )
    unchanged = "deployment.apps/web unchanged\nconfigmap/settings unchanged"
    assert kubectl(*words, stdin=MANIFEST) == unchanged
    changed = MANIFEST.replace("replicas: 2", "replicas: 3")
    assert kubectl(*words, stdin=changed).splitlines()[0] == "deployment.apps/web configured"
    assert kubectl("get", "deployment", "web", "-o", "jsonpath={.spec.replicas}") == "3"


def test_create_expose_scale_delete(kubectl: Kubectl) -> None:
    assert (
        kubectl("create", "deployment", "web", "--image=busybox") == "deployment.apps/web created"
    )
    exposed = kubectl("expose", "deployment", "web", "--type=NodePort", "--port=8080")
    assert exposed == "service/web exposed"
    address, ports = kubectl("get", "service", "web", "--no-headers").split()[2:5:2]
    assert address.startswith("10.96.")
    assert 30000 <= int(ports.removeprefix("8080:").removesuffix("/TCP")) <= 32767
    assert kubectl("scale", "deployment", "web", "--replicas=3") == "deployment.apps/web scaled"
    header, row = kubectl("get", "deployments").splitlines()
    assert header.split() == ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"]
    assert row.split()[:2] == ["web", "0/3"]
    assert kubectl("delete", "service", "web") == 'service "web" deleted'
    assert kubectl("delete", "deployment", "web") == 'deployment.apps "web" deleted'
    left = kubectl.run("get", "deployments")
    assert left.stderr.strip() == f"No resources found in {kubectl.namespace} namespace."


def test_a_pod_gets_what_admission_gives(kubectl: Kubectl) -> None:
    kubectl("run", "p", "--image=busybox")
    described = kubectl("describe", "pod", "p")
    for text in (
        "Service Account:  default",
        "/var/run/secrets/kubernetes.io/serviceaccount from kube-api-access-",
        "node.kubernetes.io/not-ready:NoExecute op=Exists for 300s",
        "Status:           Pending",
    ):
        assert text in described
    assert kubectl("delete", "pod", "p") == 'pod "p" deleted'


def test_a_watch_shows_a_change(kubectl: Kubectl) -> None:
    kubectl("create", "configmap", "c", "--from-literal=a=b")
    watching = subprocess.Popen(
        [kubectl._program, "-n", kubectl.namespace, "get", "configmap", "c", "-w", "-o", "name"],
        env=kubectl._server.environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert watching.stdout is not None
    try:
        assert watching.stdout.readline() == "configmap/c\n"
        kubectl("label", "configmap", "c", "x=y")
        assert watching.stdout.readline() == "configmap/c\n"
    finally:
        watching.kill()
        watching.wait()


@pytest.mark.parametrize(
    ("words", "text"),
    [
        pytest.param(
            ("get", "pod", "nope"), 'Error from server (NotFound): pods "nope" not found', id="404"
        ),
        pytest.param(
            ("get", "nopes"), 'error: the server doesn\'t have a resource type "nopes"', id="kind"
        ),
        pytest.param(
            ("create", "deployment", "x_y", "--image=i"),
            'The Deployment "x_y" is invalid: metadata.name: Invalid value: "x_y"',
            id="422",
        ),
    ],
)
def test_errors_are_upstreams(kubectl: Kubectl, words: tuple[str, ...], text: str) -> None:
    done = kubectl.run(*words)
    assert done.returncode == 1
    assert text in done.stderr.replace("error: failed to create deployment: ", "The ").replace(
        "The Deployment.apps", "The Deployment"
    )


def test_rights_come_from_roles(kubectl: Kubectl) -> None:
    refused = kubectl.run("get", "pods", user=NOBODY)
    assert refused.stderr.strip() == (
        'Error from server (Forbidden): pods is forbidden: User "nobody" cannot list resource'
        f' "pods" in API group "" in the namespace "{kubectl.namespace}"'
    )
    kubectl("create", "rolebinding", "look", "--clusterrole=view", f"--user={NOBODY}")
    assert kubectl.run("get", "pods", user=NOBODY).returncode == 0
    assert kubectl("auth", "can-i", "list", "pods", f"--as={NOBODY}") == "yes"
    assert kubectl.run("auth", "can-i", "delete", "pods", f"--as={NOBODY}").stdout.strip() == "no"


def test_a_token_is_its_service_account(kubectl: Kubectl) -> None:
    token = kubectl("create", "token", "default")
    done = kubectl.run("auth", "can-i", "get", "pods", "--token", token)
    assert token.count(".") == 2
    assert done.stdout.strip() in {"no", "yes"}  # With a client certificate kubectl sends that.
