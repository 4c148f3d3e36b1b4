"""The v2 implementation on a tree of plain files, as the kernel would see the writes."""

from pathlib import Path

import pytest

from tiphys.runtime.cgroups.devices import DEFAULT_RULES
from tiphys.runtime.cgroups.interface import Cgroups, Usage, detect
from tiphys.runtime.cgroups.v2 import CgroupsV2, limit_files, weight

GROUP = "tiphys/p/kubepods/pod1/c1"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A mount with delegated controllers at every level."""
    path = tmp_path
    for part in ("", *GROUP.split("/")):
        path = path / part
        path.mkdir(exist_ok=True)
        (path / "cgroup.controllers").write_text("cpu memory pids io hugetlb\n")
        (path / "cgroup.subtree_control").write_text("memory\n" if not part else "\n")
        for name in ("cpu.weight", "cpu.max", "memory.max", "pids.max"):
            (path / name).write_text("")
    return tmp_path


def test_create_enables_controllers_above_and_sets_limits(root: Path) -> None:
    attached: list[tuple[str, int]] = []
    cgroups = CgroupsV2(str(root), lambda at, program: attached.append((at, len(program))))
    resources = {
        "cpu": {"shares": 1024, "quota": 50000, "period": 100000},
        "memory": {"limit": 1 << 20},
        "pids": {"limit": 7},
        "devices": list(DEFAULT_RULES),
    }
    cgroups.create(GROUP, resources)
    assert (root / "cgroup.subtree_control").read_text().startswith("+cpu +pids +io")
    assert (root / "tiphys" / "cgroup.subtree_control").read_text().startswith("+cpu +memory")
    assert (root / GROUP / "cgroup.subtree_control").read_text() == "\n"
    files = {p.name: p.read_text() for p in (root / GROUP).iterdir() if "cgroup." not in p.name}
    assert files == {
        "cpu.weight": "39",
        "cpu.max": "50000 100000",
        "memory.max": "1048576",
        "pids.max": "7",
    }
    assert attached[0][0] == str(root / GROUP)
    assert attached[0][1] % 8 == 0


def test_usage_is_read(root: Path) -> None:
    group = root / GROUP
    (group / "cpu.stat").write_text("usage_usec 5\nuser_usec 3\n")
    (group / "memory.current").write_text("1000\n")
    (group / "memory.max").write_text("max\n")
    (group / "memory.stat").write_text("anon 600\ninactive_file 100\npgfault 9\npgmajfault 1\n")
    (group / "memory.events").write_text("low 0\noom 2\noom_kill 1\n")
    (group / "pids.current").write_text("3\n")
    (group / "cgroup.procs").write_text("11\n12\n")
    cgroups: Cgroups = CgroupsV2(str(root))
    assert cgroups.usage(GROUP) == Usage(5000, 1000, 900, 600, 0, 9, 1, 3)
    assert cgroups.oom_kills(GROUP) == 1
    assert cgroups.pids(GROUP) == [11, 12]
    assert cgroups.mounts(GROUP) == {"": str(group)}
    assert cgroups.procs_files(GROUP) == [f"{group}/cgroup.procs"]


def test_detect_knows_v2_by_its_root_file(root: Path, tmp_path: Path) -> None:
    assert isinstance(detect(str(root)), CgroupsV2)


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        pytest.param({"cpu": {"quota": -1}}, {"cpu.max": "max 100000"}, id="no-quota"),
        pytest.param({"cpu": {"cpus": "0-1"}}, {"cpuset.cpus": "0-1"}, id="cpuset"),
        pytest.param(
            {"memory": {"limit": 10, "swap": 15}},
            {"memory.max": "10", "memory.swap.max": "5"},
            id="swap-is-counted-apart",
        ),
        pytest.param({"unified": {"memory.high": "5"}}, {"memory.high": "5"}, id="unified"),
        pytest.param({}, {}, id="nothing"),
    ],
)
def test_limit_files(resources: dict[str, dict[str, str]], expected: dict[str, str]) -> None:
    assert limit_files(resources) == expected


def test_a_unified_name_is_a_plain_file() -> None:
    with pytest.raises(ValueError, match="not a cgroup file"):
        limit_files({"unified": {"../cgroup.procs": "1"}})


@pytest.mark.parametrize(("shares", "expected"), [(2, 1), (1024, 39), (262144, 10000), (1, 1)])
def test_weight(shares: int, expected: int) -> None:
    assert weight(shares) == expected
