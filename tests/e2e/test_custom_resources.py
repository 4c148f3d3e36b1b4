"""Custom resources as a user meets them: real kubectl, and an operator written with kopf."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.clusters import Cluster, kubectls, until
from support.gaps import missing

CRD = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.acme.io}
spec:
  group: acme.io
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget, shortNames: [wd], categories: [all]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources:
      status: {}
      scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas}
    additionalPrinterColumns:
    - {name: Size, type: integer, jsonPath: .spec.size}
    - {name: Age, type: date, jsonPath: .metadata.creationTimestamp}
    selectableFields: [{jsonPath: .spec.color}]
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            required: [size]
            properties:
              size: {type: integer, minimum: 1, description: How big it is}
              color: {type: string, default: red}
              replicas: {type: integer, default: 1}
          status: {type: object, x-kubernetes-preserve-unknown-fields: true}
"""
OPERATOR = """
import kopf

@kopf.on.create("acme.io", "v1", "widgets")
@kopf.on.update("acme.io", "v1", "widgets", field="spec.size")
def made(spec, patch, **_):
    patch.status["seen"] = spec["size"]

@kopf.on.delete("acme.io", "v1", "widgets")
def unmade(name, **_):
    with open("deleted", "a") as file:
        file.write(name + "\\n")
"""
INSTALL_SECONDS_MAX = 180


def widget(name: str, **spec: Any) -> str:
    known = {"apiVersion": "acme.io/v1", "kind": "Widget", "metadata": {"name": name}}
    return json.dumps(known | {"spec": spec})


def real(cluster: Cluster, *words: str, stdin: str = "") -> str:
    """The newest kubectl there is."""
    return cluster.real(kubectls()[-1], *words, stdin=stdin)


@pytest.fixture(scope="module")
def plane() -> Iterator[Cluster]:
    """A control plane alone: what is served here needs no node."""
    found = Cluster("e2ecrd")
    try:
        found.start("--nodes", "0")
        yield found
    finally:
        found.delete()


@pytest.fixture
def defined(plane: Cluster) -> Iterator[Cluster]:
    real(plane, "apply", "-f", "-", stdin=CRD)
    real(plane, "wait", "--for=condition=Established", "crd/widgets.acme.io", "--timeout=10s")
    yield plane
    real(plane, "delete", "crd", "widgets.acme.io")


@pytest.mark.parametrize("client", kubectls(), ids=lambda p: p.name)
def test_kubectl_works_with_what_is_defined(defined: Cluster, client: Path) -> None:
    def kubectl(*words: str, stdin: str = "", check: bool = True) -> str:
        return defined.real(client, *words, stdin=stdin, check=check)

    assert "created" in kubectl("apply", "-f", "-", stdin=widget("one", size=3))
    header, row = kubectl("get", "wd").splitlines()[:2]
    assert (header.split(), row.split()[:2]) == (["NAME", "SIZE", "AGE"], ["one", "3"])
    assert "widget.acme.io/one" in kubectl("get", "all")
    assert "How big it is" in kubectl("explain", "widget.spec.size")
    assert "scaled" in kubectl("scale", "widget", "one", "--replicas=4")
    wrong = '{"spec":{"size":0}}'
    refused = kubectl("patch", "wd", "one", "--type=merge", "-p", wrong, check=False)
    assert "spec.size in body should be greater than or equal to 1" in refused
    refused = kubectl("apply", "-f", "-", stdin=widget("two", size=1, zz=1), check=False)
    assert 'unknown field "spec.zz"' in refused
    assert "configured" in kubectl("apply", "-f", "-", stdin=widget("one", size=5))
    found = json.loads(kubectl("get", "widget", "one", "-o", "json"))
    assert found["spec"] == {"size": 5, "color": "red", "replicas": 4}
    assert kubectl("get", "wd", "--field-selector=spec.color=red", "-o", "name").split() == [
        "widget.acme.io/one"
    ]
    assert "deleted" in kubectl("delete", "wd", "--all")
    kubectl("create", "namespace", "gone")
    kubectl("apply", "-n", "gone", "-f", "-", stdin=widget("three", size=1))
    kubectl("delete", "namespace", "gone", "--timeout=60s")
    assert kubectl("get", "wd", "-A", "-o", "name") == ""


@pytest.fixture(scope="module")
def kopf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, in an environment of its own."""
    home = tmp_path_factory.mktemp("kopf")
    subprocess.run([sys.executable, "-m", "venv", home], check=True)
    done = subprocess.run(
        [home / "bin" / "pip", "install", "-q", "kopf"],
        capture_output=True,
        text=True,
        timeout=INSTALL_SECONDS_MAX,
        check=False,
    )
    if done.returncode != 0:
        missing(f"kopf cannot be installed: {done.stderr[-200:]}")
    return home / "bin" / "kopf"


def test_an_operator_runs(defined: Cluster, kopf: Path, tmp_path: Path) -> None:
    (tmp_path / "operator.py").write_text(OPERATOR)
    (tmp_path / "log").touch()
    with (tmp_path / "log").open("w") as log:
        words = [str(kopf), "run", "operator.py", "--namespace=default", "--standalone"]
        operator = subprocess.Popen(words, cwd=tmp_path, env=defined.env, stderr=log)

    def found(name: str) -> Any:
        items = defined.get("widgets")["items"]
        return next((i for i in items if i["metadata"]["name"] == name), {})

    def sees(name: str, size: int) -> bool:
        return bool(found(name).get("status", {}).get("seen") == size)

    try:
        real(defined, "apply", "-f", "-", stdin=widget("one", size=3))
        until(lambda: sees("one", 3), what="the operator writes a status")
        assert found("one")["metadata"]["finalizers"] == ["kopf.zalando.org/KopfFinalizerMarker"]
        change = '{"spec":{"size":7}}'
        real(defined, "patch", "widget", "one", "--type=merge", "-p", change)
        until(lambda: sees("one", 7), what="the operator follows a change")
        real(defined, "delete", "widget", "one", "--timeout=30s")
        assert (tmp_path / "deleted").read_text() == "one\n"
    except AssertionError as error:
        raise AssertionError(f"{error}\n{(tmp_path / 'log').read_text()[-2000:]}") from None
    finally:
        operator.terminate()
        operator.wait(20)


def test_definitions_of_the_field_are_taken(plane: Cluster) -> None:
    """A definition as generators write it: columns by filters, embedded templates, maps of maps."""
    schema = {
        "type": "object",
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": {
                "type": "object",
                "properties": {
                    "template": {
                        "type": "object",
                        "x-kubernetes-preserve-unknown-fields": True,
                        "x-kubernetes-embedded-resource": True,
                    },
                    "port": {
                        "anyOf": [{"type": "integer"}, {"type": "string"}],
                        "x-kubernetes-int-or-string": True,
                    },
                },
            },
            "status": {
                "type": "object",
                "properties": {
                    "conditions": {
                        "type": "array",
                        "x-kubernetes-list-type": "map",
                        "x-kubernetes-list-map-keys": ["type"],
                        "items": {
                            "type": "object",
                            "required": ["type", "status"],
                            "properties": {
                                "type": {"type": "string"},
                                "status": {"type": "string"},
                            },
                        },
                    }
                },
            },
        },
    }
    made = yaml.safe_load(CRD)
    made["metadata"]["name"] = "gadgets.acme.io"
    made["spec"]["names"] = {"plural": "gadgets", "kind": "Gadget"}
    [version] = made["spec"]["versions"]
    version["schema"]["openAPIV3Schema"] = schema
    version["selectableFields"] = []
    path = '.status.conditions[?(@.type=="Ready")].status'
    version["additionalPrinterColumns"] = [{"name": "Ready", "type": "string", "jsonPath": path}]
    real(plane, "apply", "-f", "-", stdin=json.dumps(made))
    real(plane, "wait", "--for=condition=Established", "crd/gadgets.acme.io", "--timeout=10s")
    template = {"apiVersion": "v1", "kind": "Pod", "metadata": {"labels": {"a": "b"}}, "x": 1}
    gadget = {
        "apiVersion": "acme.io/v1",
        "kind": "Gadget",
        "metadata": {"name": "g"},
        "spec": {"template": template, "port": "http"},
    }
    real(plane, "apply", "-f", "-", stdin=json.dumps(gadget))
    status = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    words = ("--subresource=status", "--type=merge", "-p", json.dumps(status))
    real(plane, "patch", "gadget", "g", *words)
    assert real(plane, "get", "gadgets").splitlines()[1].split() == ["g", "True"]
    assert plane.get("gadget", "g")["spec"]["template"] == template
    real(plane, "delete", "crd", "gadgets.acme.io")
