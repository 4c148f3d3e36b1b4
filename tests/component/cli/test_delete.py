"""`kubectl delete` by somebody who may delete but not look: as real kubectl, where there is one."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest

from support.api_server import NOBODY, RunningApiServer, api_server_in_thread

ROLE = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRole",
    "metadata": {"name": "deleter"},
    "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["delete"]}],
}
BINDING = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRoleBinding",
    "metadata": {"name": "deleter"},
    "roleRef": {
        "apiGroup": "rbac.authorization.k8s.io",
        "kind": "ClusterRole",
        "name": "deleter",
    },
    "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": NOBODY}],
}
# A finalizer keeps it, so that waiting for its end would last for ever.
KEPT = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "kept", "namespace": "default", "finalizers": ["example.com/kept"]},
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApiServer]:
    with api_server_in_thread(tmp_path_factory.mktemp("api")) as running:
        given = "\n---\n".join(json.dumps(o) for o in (ROLE, BINDING, KEPT))
        done = _run(running, "create", "-f", "-", given=given, user="admin")
        assert done.returncode == 0, done.stderr
        yield running


def _run(
    server: RunningApiServer, *words: str, given: str = "", user: str = NOBODY, real: str = ""
) -> subprocess.CompletedProcess[str]:
    kubectl = [real] if real else [sys.executable, "-m", "tiphys", "kubectl"]
    return subprocess.run(
        [*kubectl, "--kubeconfig", str(server.kubeconfig(user)), *words],
        input=given,
        capture_output=True,
        text=True,
        timeout=20,
        env=server.environment(user),
        check=False,
    )


def test_who_may_not_look_does_not_wait(server: RunningApiServer) -> None:
    done = _run(server, "delete", "configmap", "kept")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith('configmap "kept" deleted')
    if real := shutil.which("kubectl"):
        theirs = _run(server, "delete", "configmap", "kept", real=real)
        assert (theirs.returncode, theirs.stderr) == (done.returncode, done.stderr)
