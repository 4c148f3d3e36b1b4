"""What /proc says about a container, and what follows from it."""

from typing import Any

import pytest

from tiphys.runtime.isolation import (
    Facts,
    capability_names,
    describe,
    parse_cgroups,
    parse_mounts,
    parse_status,
    sharing,
)

MACHINE = {"mnt": 1, "pid": 2, "net": 3, "user": 4, "time": 5}
NODE = {"mnt": 11, "net": 13}
POD = {"mnt": 11, "pid": 2, "net": 23, "user": 4, "time": 5}
STATUS = "Uid:\t0\t0\t0\t0\nGid:\t5\t5\nCapEff:\t{caps}\nCapBnd:\t{caps}\nSeccomp:\t{mode}\n"


@pytest.mark.parametrize(
    ("own", "circles"),
    [
        ({"mnt": 31, "pid": 32, "net": 23}, {"mnt": "own", "pid": "own", "net": "pod"}),
        ({"mnt": 31, "pid": 2, "net": 13}, {"mnt": "own", "pid": "machine", "net": "node"}),
        ({"user": 4, "time": 5}, {"user": "machine", "time": "machine"}),
    ],
)
def test_with_whom_a_namespace_is_shared(own: dict[str, int], circles: dict[str, str]) -> None:
    assert sharing(own, POD, NODE, MACHINE) == circles


def test_texts_of_proc() -> None:
    assert parse_status("Name:\tx y\nCapEff:\t01\nno colon\n") == {"Name": "x y", "CapEff": "01"}
    assert parse_cgroups("5:cpu,cpuacct:/a\n0::/b:c\n") == {"cpu,cpuacct": "/a", "": "/b:c"}
    line = "36 35 98:0 /r /a\\040b ro,nosuid master:1 - ext4 /dev/x rw,discard\n"
    assert parse_mounts(line) == [
        {
            "destination": "/a b",
            "type": "ext4",
            "source": "/dev/x",
            "options": ["discard", "nosuid", "ro", "rw"],
        }
    ]
    assert capability_names("401") == ["CAP_CHOWN", "CAP_NET_BIND_SERVICE"]


def lacking(caps: str, mode: str, circles: dict[str, str], limits: dict[str, str]) -> set[str]:
    status = parse_status(STATUS.format(caps=caps, mode=mode))
    found: Any = describe(Facts(7, "sh", {}, status, {}, [], ""), circles, limits, "6.1")
    return {row["what"] for row in found["lacksComparedWithVM"]} - {"kernel", "hardware"}


@pytest.mark.parametrize(
    ("caps", "mode", "circles", "limits", "lacks"),
    [
        pytest.param(
            "0",
            "2",
            dict.fromkeys(("mnt", "pid", "net", "ipc", "uts", "user", "time"), "own"),
            {"memoryBytes": "1000", "cpu": "100 1000", "pids": "10"},
            set(),
            id="as-much-as-there-is",
        ),
        pytest.param(
            "1ffffffffff",
            "0",
            {"mnt": "own", "pid": "machine", "net": "node", "ipc": "pod", "uts": "pod"},
            {"memoryBytes": "9223372036854771712", "cpuQuotaMicroseconds": "-1", "pids": "max"},
            {"users", "clocks", "net", "pid", "memory limit", "CPU limit", "process limit"}
            | {"seccomp filter", "restraint"},
            id="privileged-on-the-nodes-network",
        ),
    ],
)
def test_what_it_lacks(
    caps: str, mode: str, circles: dict[str, str], limits: dict[str, str], lacks: set[str]
) -> None:
    assert lacking(caps, mode, circles, limits) == lacks
