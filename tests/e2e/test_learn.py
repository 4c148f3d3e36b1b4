"""Every command of the guide is run, and its output is the one that stands there."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.clusters import TIPHYS, Cluster
from tiphys.cluster.learn.guide import pages
from tiphys.cluster.learn.likeness import is_like
from tiphys.cluster.learn.page import Command, File, Page
from tiphys.cluster.learn.walk import Walk, installed_kubectl


@pytest.fixture(scope="module")
def learn() -> Iterator[Cluster]:
    assert os.geteuid() == 0, "clusters with nodes need root"
    found = Cluster("learn")
    try:
        found.start()
        yield found
    finally:
        found.delete()


@pytest.mark.parametrize("page", pages(), ids=lambda p: p.name)
def test_a_page(learn: Cluster, page: Page, tmp_path: Path) -> None:
    walk = Walk(learn.name, tmp_path, learn.env, installed_kubectl())
    for part in page.parts:
        if isinstance(part, File):
            walk.write(part)
        elif isinstance(part, Command):
            output = walk.run(part)
            assert is_like(output, part.output), (
                f"$ {part.line}\n{output}\n-- shown:\n{part.output}"
            )


def test_the_walk_tells_what_a_command_caused() -> None:
    walker = Cluster("walker")
    done = walker.tiphys("learn", "--yes", "deployments")
    for line in (
        "What that caused:",
        "deployment-controller  Deployment hello-node: Scaled up replica set hello-node-",
        "replicaset-controller  ReplicaSet hello-node-",
        "Successfully assigned default/hello-node-",
    ):
        assert line in done.stdout, done.stdout
    assert walker.tiphys("status", check=False).returncode != 0, "the cluster is gone"
    shutil.rmtree(walker.home)


def test_a_page_that_there_is_not() -> None:
    done = subprocess.run(
        [str(TIPHYS), "learn", "nothing"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode != 0
    assert "tiphys learn --list" in done.stderr
