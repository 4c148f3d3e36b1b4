"""What the doctor makes of ports, files and file systems."""

from pathlib import Path

import pytest

from tiphys.cluster import machine_checks

MOUNTS = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:30 / /var/lib rw - overlay overlay rw,lowerdir=/a
31 30 0:31 / /var/lib/tiphys rw - xfs /dev/sdb rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/home", "ext4"), ("/var/lib/x", "overlay"), ("/var/lib/tiphys/words", "xfs")],
)
def test_the_nearest_mount_has_the_file(path: str, kind: str) -> None:
    assert machine_checks.file_system(Path(path), MOUNTS) == kind


def test_a_port_that_somebody_has() -> None:
    found = machine_checks.ports({80: "published", 81: "published"}, lambda port: port != 80)
    assert [f.what for f in found] == ["port 80 (published) is in use"]


@pytest.mark.parametrize(("mode", "count"), [(0o100600, 0), (0o100640, 1), (0o100644, 1)])
def test_keys_are_for_their_owner(mode: int, count: int) -> None:
    found = machine_checks.rights(Path("/k"), mode)
    assert len(found) == count
    assert all(f.fix == "chmod 600 /k" and not f.fatal for f in found)


def test_a_kubeconfig_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "config"
    assert machine_checks.kubeconfig(path) == []
    path.write_text("{")
    path.chmod(0o600)
    assert [f.fatal for f in machine_checks.kubeconfig(path)] == [True]
    path.write_text('{"apiVersion": "v1", "kind": "Config"}')
    assert machine_checks.kubeconfig(path) == []


def test_many_tables() -> None:
    assert machine_checks.many_tables([{"metainfo": {}}, {"table": {}}]) == []
    assert machine_checks.many_tables([{"table": {}}] * 501)[0].fatal is False


def test_kubectl_is_looked_for() -> None:
    assert machine_checks.kubectl(lambda name: f"/usr/bin/{name}") == []
    assert len(machine_checks.kubectl(lambda name: None)) == 1
