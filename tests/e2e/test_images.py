"""The notebook's five images, built from Dockerfiles, drawn, run, pushed and pulled."""

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from e2e import debian_registry
from e2e.clusters import TIPHYS, Cluster, until
from tiphys.runtime.images import layers

FIVE = {"a": "busybox", "b": "nb/a:1", "c": "nb/a:1", "d": "nb/b:1", "e": "nb/b:1"}
KIB = {"a": 400, "b": 60, "c": 60, "d": 30, "e": 30}


@pytest.fixture(scope="module")
def five(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """A is the base; B and C are forked from A; D and E from B."""
    directory = tmp_path_factory.mktemp("five")
    for name, base in FIVE.items():
        context = directory / name
        context.mkdir()
        (context / "blob").write_bytes(os.urandom(KIB[name] * 1024))
        (context / "Dockerfile").write_text(
            f"FROM {base}\nCOPY blob /blob-{name}\nRUN echo built-{name} > /made-{name}\n"
        )
        said = cluster.tiphys("image", "build", "-t", f"nb/{name}:1", str(context)).stdout
        assert said.splitlines()[-1] == f"Successfully tagged nb/{name}:1"
    return cluster


def run_pod(cluster: Cluster, namespace: str, name: str, **container: Any) -> None:
    spec = {"restartPolicy": "Never", "containers": [{"name": "c", **container}]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
    cluster.kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(pod))


def test_the_tree_is_the_notebooks_picture(five: Cluster) -> None:
    lines = five.tiphys("image", "tree").stdout.splitlines()
    drawn = [line.partition(":1 ")[0].rstrip() for line in lines if "nb/" in line]
    assert drawn == [
        "├── nb/a",
        "│   ├── nb/b",
        "│   │   ├── nb/d",
        "│   │   └── nb/e",
        "│   └── nb/c",
    ]
    roots = json.loads(five.tiphys("image", "tree", "-o", "json").stdout)
    base = next(root for root in roots if "busybox:latest" in root["names"])
    a = next(one for one in base["children"] if one["names"] == ["nb/a:1"])
    b = a["children"][0]
    assert a["sharedBytes"] == base["addedBytes"]
    assert b["sharedBytes"] == a["sharedBytes"] + a["addedBytes"]
    for one, name in ((a, "a"), (b, "b"), (b["children"][0], "d")):
        assert 0 <= one["addedBytes"] - KIB[name] * 1024 < 40_000  # The file, and tar's padding.


@pytest.mark.parametrize("policy", ["IfNotPresent", "Always"])
def test_pods_run_what_was_built(five: Cluster, namespace: str, policy: str) -> None:
    script = ["sh", "-c", "cat /made-a /made-b /made-d; ls /blob-*"]
    run_pod(five, namespace, "d", image="nb/d:1", imagePullPolicy=policy, command=script)
    until(
        lambda: five.get("pod", "d", "-n", namespace)["status"].get("phase") == "Succeeded",
        what="the pod has run",
    )
    found = five.kubectl("logs", "d", "-n", namespace).split()
    assert found == ["built-a", "built-b", "built-d", "/blob-a", "/blob-b", "/blob-d"]


def test_nodes_share_the_layers(five: Cluster) -> None:
    """What the base's layers weigh is on the node once."""
    rows = json.loads(five.tiphys("image", "tree", "-o", "json").stdout)
    base = next(root for root in rows if "busybox:latest" in root["names"])
    a = next(one for one in base["children"] if one["names"] == ["nb/a:1"])
    node = five.home / "state" / five.name / "nodes"
    names = [layers.directory_name(diff_id) for diff_id in a["layers"]]
    for name in names:
        assert len(list(node.glob(f"*/runtime/images/layers/{name}"))) <= 1


def test_a_changed_image_is_pulled_again(five: Cluster, namespace: str, tmp_path: Path) -> None:
    def run(pod: str, word: str) -> str:
        (tmp_path / "Dockerfile").write_text(f"FROM nb/a:1\nCMD echo {word}\n")
        five.tiphys("image", "build", "-t", "nb/moving:1", str(tmp_path))
        run_pod(five, namespace, pod, image="nb/moving:1", imagePullPolicy="Always")
        until(lambda: five.kubectl("logs", pod, "-n", namespace, check=False).strip() == word)
        return word

    assert [run("one", "first"), run("two", "second")] == ["first", "second"]


def test_names_saving_and_loading(five: Cluster, tmp_path: Path) -> None:
    five.tiphys("image", "tag", "nb/e:1", "nb/other:2")
    steps = five.tiphys("image", "history", "nb/other:2").stdout
    assert "RUN /bin/sh -c echo built-e > /made-e" in steps
    file = tmp_path / "saved.tar"
    five.tiphys("image", "save", "nb/other:2", "-o", str(file))
    gone = five.tiphys("image", "rm", "nb/other:2").stdout
    assert gone.splitlines()[0] == "Untagged: nb/other:2"
    assert "nb/other" not in five.tiphys("image", "ls").stdout
    assert five.tiphys("image", "load", str(file)).stdout == "Loaded docker.io/nb/other:2\n"
    five.tiphys("image", "rm", "nb/other:2")
    five.tiphys("image", "prune")
    assert five.tiphys("image", "rm", "nb/other:2", check=False).returncode == 86


def test_debians_registry_takes_and_gives_images(five: Cluster, tmp_path: Path) -> None:
    """TLS with an authority of its own, bearer tokens for reading and for writing."""
    with debian_registry.serving(tmp_path) as (host, authorities):
        name = f"{host}/nb/d:1"
        flags = ["--certs-dir", str(authorities), "--creds", debian_registry.LOGIN]
        five.tiphys("image", "tag", "nb/d:1", name)
        refused = five.tiphys("image", "push", name, *flags[:2], check=False)
        assert refused.returncode == 91
        assert "denied: requested access to the resource is denied" in refused.stderr
        untrusted = five.tiphys("image", "push", name, "--certs-dir", "/none", check=False)
        assert untrusted.returncode == 91
        pushed = five.tiphys("image", "push", name, *flags).stdout.splitlines()
        digest = pushed[-1].removeprefix("1: digest: ")
        assert pushed[-1].startswith("1: digest: sha256:")
        again = five.tiphys("image", "push", name, *flags).stdout
        assert again.count("Layer already exists") == len(pushed) - 2
        five.tiphys("image", "rm", name)
        pulled = five.tiphys("image", "pull", name, *flags[:2]).stdout
        assert f"Digest: {digest}" in pulled
        five.tiphys("image", "rm", name)


def test_a_build_leaves_nothing_behind(five: Cluster, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM busybox\nRUN sleep 1007 & exit 7\n")
    failed = five.tiphys("image", "build", "-t", "nb/no:1", str(tmp_path), check=False)
    assert failed.returncode == 93
    assert "returned a non-zero code: 7" in failed.stderr
    assert not (five.home / "run" / ".build").exists()
    cache = five.home / "state" / ".cache" / "build"
    assert sorted(path.name for path in cache.iterdir()) == [".lock", "images", "steps"]
    titles = subprocess.run(
        ["ps", "-eo", "args"], capture_output=True, text=True, check=True
    ).stdout
    assert "tiphys-build/" not in titles
    assert "nb/no" not in five.tiphys("image", "ls").stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_build_leaves_nothing(
    five: Cluster, tmp_path: Path, number: signal.Signals
) -> None:
    """After SIGKILL the next build ends what is left."""
    mark = f"{1000 + number}.{os.getpid()}"
    (tmp_path / "Dockerfile").write_text(f"FROM busybox\nRUN echo begun; sleep {mark}\n")
    command = [str(TIPHYS), "-p", five.name, "image", "build", "--no-cache", str(tmp_path)]
    build = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=five.env)
    assert build.stdout is not None
    until(lambda: build.stdout.readline() == "begun\n", what="the command runs")  # type: ignore[union-attr]
    build.send_signal(number)
    assert build.wait(timeout=20) != 0
    if number == signal.SIGKILL:
        (tmp_path / "Dockerfile").write_text("FROM busybox\nRUN true\n")
        five.tiphys("image", "build", str(tmp_path))
    until(lambda: not running(f"sleep {mark}"), what="the command has ended")
    assert not (five.home / "run" / ".build").exists()
    assert not (five.home / "state" / ".cache" / "build" / "containers").exists()


def running(words: str) -> bool:
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    return any(line.startswith(words) for line in listed.stdout.splitlines())
