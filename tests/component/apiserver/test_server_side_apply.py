"""Real kubectl applies on the server's side: who owns what, conflicts, force, taking back."""

import json
from pathlib import Path
from typing import Any

import pytest

from component.apiserver.test_kubectl import Kubectl, kubectl, server

__all__ = ["kubectl", "server"]  # Fixtures.

DEPLOYMENT: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web"},
    "spec": {
        "replicas": 1,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "c", "image": "busybox"}]},
        },
    },
}


def written(path: Path, **spec: Any) -> str:
    obj = json.loads(json.dumps(DEPLOYMENT))
    obj["spec"] |= spec
    path.write_text(json.dumps(obj))
    return str(path)


def owners(kubectl: Kubectl) -> dict[str, Any]:
    text = kubectl("get", "deployment", "web", "-o", "json", "--show-managed-fields")
    entries = json.loads(text)["metadata"]["managedFields"]
    return {f"{e['manager']}/{e['operation']}/{e.get('subresource', '')}": e for e in entries}


def test_a_life(kubectl: Kubectl, tmp_path: Path) -> None:
    path = tmp_path / "web.json"
    apply = ("apply", "--server-side", "-f")
    assert "serverside-applied" in kubectl(*apply, written(path))
    assert "f:replicas" in owners(kubectl)["kubectl/Apply/"]["fieldsV1"]["f:spec"]
    before = kubectl("get", "deployment", "web", "-o", "jsonpath={.metadata.resourceVersion}")
    kubectl(*apply, written(path))
    after = kubectl("get", "deployment", "web", "-o", "jsonpath={.metadata.resourceVersion}")
    assert after == before, "the same again writes nothing"

    kubectl("scale", "deployment", "web", "--replicas=3")
    found = owners(kubectl)
    # It is called what its file is called.
    (scaled,) = (e for who, e in found.items() if who.endswith("/Update/scale"))
    assert "f:replicas" in scaled["fieldsV1"]["f:spec"]
    assert "f:replicas" not in found["kubectl/Apply/"]["fieldsV1"]["f:spec"]
    refused = kubectl.run(*apply, written(path))
    assert refused.returncode == 1
    assert "Apply failed with 1 conflict: conflict with" in refused.stderr
    assert ".spec.replicas" in refused.stderr
    kubectl(*apply, written(path), "--force-conflicts")
    replicas = ("get", "deployment", "web", "-o", "jsonpath={.spec.replicas}")
    assert kubectl(*replicas) == "1"

    other = ("--field-manager=other",)
    extra = [{"name": "c", "env": [{"name": "A", "value": "1"}]}]
    template = {"metadata": {}, "spec": {"containers": extra}}
    obj = {k: v for k, v in DEPLOYMENT.items() if k != "spec"}
    path.write_text(json.dumps(obj | {"spec": {"template": template}}))
    kubectl(*apply, str(path), *other)
    env = ("get", "deployment", "web", "-o", "jsonpath={.spec.template.spec.containers[0].env}")
    assert json.loads(kubectl(*env)) == [{"name": "A", "value": "1"}]
    path.write_text(json.dumps(obj))
    kubectl(*apply, str(path), *other)
    assert kubectl(*env) == "", "what is applied no more goes with its owner"


def test_from_the_clients_side_to_the_servers(kubectl: Kubectl, tmp_path: Path) -> None:
    path = tmp_path / "web.json"
    kubectl("apply", "-f", written(path))
    assert "kubectl-client-side-apply/Update/" in owners(kubectl)
    kubectl("apply", "--server-side", "-f", written(path, replicas=2))
    assert "kubectl/Apply/" in owners(kubectl)
    assert kubectl.run("diff", "-f", str(path)).returncode == 0
    told = kubectl("apply", "view-last-applied", "deployment", "web", "-o", "json")
    assert json.loads(told)["spec"]["replicas"] == 2


def test_what_others_changed_is_not_taken_from_the_clients_side(
    kubectl: Kubectl, tmp_path: Path
) -> None:
    path = tmp_path / "web.json"
    kubectl("apply", "-f", written(path))
    kubectl("scale", "deployment", "web", "--replicas=5")
    refused = kubectl.run("apply", "--server-side", "-f", written(path, replicas=2))
    assert refused.returncode == 1
    assert ".spec.replicas" in refused.stderr


@pytest.mark.parametrize("words", [("--dry-run=server",), ()])
def test_a_field_that_there_is_not(
    kubectl: Kubectl, tmp_path: Path, words: tuple[str, ...]
) -> None:
    path = tmp_path / "web.json"
    words = ("apply", "--server-side", "--validate=false", *words)
    refused = kubectl.run(*words, "-f", written(path, replicaz=2))
    assert refused.returncode == 1
    assert ".spec.replicaz: field not declared in schema" in refused.stderr
