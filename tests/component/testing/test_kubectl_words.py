"""A session with the oldest and the newest real kubectl: its words, and every output format."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from support.gaps import missing
from tiphys.testing import Cluster

MANIFEST = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "nginx:1"}]}
"""
# Names of columns, ways of -o, and what each must show of the Deployment.
FORMATS = {
    "name": "deployment.apps/web",
    "wide": "CONTAINERS",
    "json": '"kind": "Deployment"',
    "yaml": "kind: Deployment",
    "jsonpath={.metadata.name}": "web",
    "go-template={{.metadata.name}}": "web",
    "custom-columns=N:.metadata.name": "N\nweb",
}


def kubectls() -> list[Path | None]:
    found = shutil.which("kubectl")
    if found is None:
        return [None]
    beside = [Path(found).resolve().with_name(f"kubectl.{v}") for v in ("1.27", "1.33")]
    return [p for p in beside if p.exists()] or [Path(found)]


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster() as running:
        yield running


@pytest.mark.parametrize("program", kubectls(), ids=lambda p: p.name if p else "none")
def test_a_session(cluster: Cluster, tmp_path: Path, program: Path | None) -> None:
    if program is None:
        missing("kubectl is not installed")
    editor = tmp_path / "editor"
    editor.write_text("#!/bin/sh\nsed -i 's/nginx:2/nginx:3/' \"$1\"\n")
    editor.chmod(0o755)
    environment = {
        "KUBECONFIG": str(cluster.kubeconfig),
        "HOME": str(tmp_path),
        "PATH": "/usr/bin:/bin",
        "KUBE_EDITOR": str(editor),
    }

    def run(*words: str, stdin: str = "", code: int = 0) -> str:
        done = subprocess.run(
            [program, *words],
            input=stdin,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == code, (words, done.stdout, done.stderr)
        return done.stdout.strip()

    assert run("apply", "-f", "-", stdin=MANIFEST) == "deployment.apps/web created"
    assert "successfully rolled out" in run("rollout", "status", "deployment/web", "--timeout=20s")
    condition = "deployment.apps/web condition met"
    available = "--for=condition=Available"
    assert run("wait", "deployment/web", available, "--timeout=20s") == condition
    for form, shown in FORMATS.items():
        assert shown in run("get", "deployment", "web", "-o", form)
    assert json.loads(run("get", "pods", "-o", "json"))["kind"] == "List"
    assert len(yaml.safe_load(run("get", "pods", "-o", "yaml"))["items"]) == 2
    changed = MANIFEST.replace("nginx:1", "nginx:2")
    assert "+      - image: nginx:2" in run("diff", "-f", "-", stdin=changed, code=1)
    assert run("apply", "-f", "-", stdin=changed) == "deployment.apps/web configured"
    server_side = ("apply", "--server-side", "--force-conflicts", "-f", "-")
    assert run(*server_side, stdin=changed) == "deployment.apps/web serverside-applied"
    assert "image: nginx:2" in run("apply", "view-last-applied", "deployment/web")
    assert run("edit", "deployment", "web") == "deployment.apps/web edited"
    image = "jsonpath={.spec.template.spec.containers[0].image}"
    assert run("get", "deployment", "web", "-o", image) == "nginx:3"
    patch = '{"spec":{"template":{"spec":{"containers":[{"name":"web","image":"nginx:4"}]}}}}'
    assert run("patch", "deployment", "web", "-p", patch) == "deployment.apps/web patched"
    assert run("label", "deployment", "web", "tier=front") == "deployment.apps/web labeled"
    # Before 1.28 kubectl says "annotate".
    assert run("annotate", "deployment", "web", "a=b").startswith("deployment.apps/web annotate")
    assert run("scale", "deployment", "web", "--replicas=3") == "deployment.apps/web scaled"
    run("rollout", "status", "deployment/web", "--timeout=20s")
    assert run("rollout", "history", "deployment/web").count("\n") >= 4
    assert run("rollout", "undo", "deployment/web") == "deployment.apps/web rolled back"
    assert run("rollout", "restart", "deployment/web") == "deployment.apps/web restarted"
    assert "PodTemplateSpec" in run("explain", "deployment.spec.template")
    assert "Container image name" in run("explain", "pod.spec.containers.image")
    assert run("auth", "can-i", "delete", "nodes") == "yes"
    assert run("auth", "can-i", "delete", "nodes", "--as=nobody", code=1) == "no"
    resources = run("api-resources", "--verbs=list", "-o", "name").splitlines()
    assert {"pods", "deployments.apps", "leases.coordination.k8s.io"} <= set(resources)
    assert "apps/v1" in run("api-versions").splitlines()
    assert run("create", "configmap", "c", "--from-literal=a=b") == "configmap/c created"
    assert run("expose", "deployment", "web", "--port=80") == "service/web exposed"
    assert "Replicas:" in run("describe", "deployment", "web")
    assert run("delete", "deployment,service", "web").count("deleted") == 2
