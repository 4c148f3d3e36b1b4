"""What carries the name of a profile that is not there."""

from dataclasses import replace
from pathlib import Path

import pytest

from tiphys.cluster import addresses
from tiphys.cluster.leftovers import Machine, findings, nodes, of
from tiphys.cluster.profile import Roots

ROOTS = Roots(Path("/var/lib/tiphys"), Path("/run/tiphys"))
SHORT = addresses.short_name("a")
# Everything of a profile "a-b" and of others: nothing that "a" left.
OTHERS = Machine(
    links=("lo", "eth0", f"{addresses.short_name('a-b')}br"),
    namespaces=("tiphys-a-b-a-b", "tiphys-a-b-a-b-m02", "cni-1234"),
    tables=("tiphys-a-b", "filter"),
    mounts=("/", "/run/tiphys/a-b", "/var/lib/tiphys/a-b/x"),
)


@pytest.mark.parametrize(
    ("machine", "left"),
    [
        pytest.param(OTHERS, [], id="others"),
        pytest.param(replace(OTHERS, links=(f"{SHORT}br",)), [f"link {SHORT}br"], id="link"),
        pytest.param(
            replace(OTHERS, namespaces=("tiphys-a-a", "tiphys-a-a-m02")),
            ["network namespace tiphys-a-a", "network namespace tiphys-a-a-m02"],
            id="namespaces",
        ),
        pytest.param(replace(OTHERS, tables=("tiphys-a",)), ["nftables table tiphys-a"], id="nft"),
        pytest.param(
            replace(OTHERS, mounts=("/run/tiphys/a", "/run/tiphys/a/n/mnt")),
            ["mount /run/tiphys/a", "mount /run/tiphys/a/n/mnt"],
            id="mounts",
        ),
        pytest.param(
            replace(OTHERS, cgroups=("/sys/fs/cgroup/tiphys/a",)),
            ["cgroup /sys/fs/cgroup/tiphys/a"],
            id="cgroup",
        ),
    ],
)
def test_each_kind_is_named_with_what_to_do(machine: Machine, left: list[str]) -> None:
    assert of("a", machine, ROOTS) == left
    found = findings("a", machine, ROOTS)
    assert [all(one in f.what for one in left) and "delete -p a" in f.fix for f in found] == (
        [True] if left else []
    )


def test_a_running_cluster_of_that_name_is_no_leftover() -> None:
    machine = replace(OTHERS, links=(f"{SHORT}br",), supervisors=(42,))
    (found,) = findings("a", machine, ROOTS)
    assert "runs already" in found.what
    assert "42" in found.what
    assert "delete" not in found.fix


def test_the_nodes_are_known_by_their_namespaces() -> None:
    machine = replace(OTHERS, namespaces=("tiphys-a-a-m03", "tiphys-a-b-a-b"))
    assert [n.name for n in nodes("a", machine)] == ["a", "a-m03"]


def test_every_link_of_a_node_is_removed() -> None:
    links = tuple(f"{SHORT}{end}" for end in ("br", "n2", "n7", "n9"))
    machine = replace(OTHERS, links=(*OTHERS.links, *links), namespaces=("tiphys-a-a-m03",))
    found = nodes("a", machine)
    assert {n.address.rpartition(".")[2] for n in found} == {"2", "7", "9"}
    assert [n.name for n in found] == ["a", "a-m03", "a-link9"]
