"""CRI's fields as an OCI spec."""

from typing import Any

import pytest

from tiphys.runtime.oci import spec


def inputs(config: dict[str, Any], image: dict[str, Any] | None = None) -> spec.Inputs:
    return spec.Inputs(
        config=config,
        image_process=image or {},
        hostname="pod",
        root={"layers": ["a"]},
        files={"/etc/hosts": "/s/hosts"},
        cgroup_path="p/c",
        cgroup_mounts={},
        host_devices=[],
        machine="x86_64",
    )


IMAGE = {
    "Entrypoint": ["e"],
    "Cmd": ["c"],
    "Env": ["A=1", "B=2"],
    "User": "web:staff",
    "WorkingDir": "/w",
}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        pytest.param({}, ["e", "c"], id="image"),
        pytest.param({"args": ["x"]}, ["e", "x"], id="args-replace-cmd"),
        pytest.param({"command": ["y"]}, ["y"], id="command-drops-cmd"),
        pytest.param({"command": ["y"], "args": ["x"]}, ["y", "x"], id="both"),
    ],
)
def test_arguments(config: dict[str, Any], expected: list[str]) -> None:
    assert spec.build(inputs(config, IMAGE))["process"]["args"] == expected


def test_no_command_is_refused() -> None:
    with pytest.raises(ValueError, match="no command specified"):
        spec.build(inputs({}))


def test_process_of_an_image() -> None:
    envs = [{"key": "B", "value": b"3"}, {"key": "C"}]
    process = spec.build(inputs({"envs": envs, "tty": True}, IMAGE))["process"]
    assert process["env"] == ["A=1", "B=3", "HOSTNAME=pod", "TERM=xterm", "C="]
    assert process["cwd"] == "/w"
    assert process["user"] == {
        "user": "web",
        "group": "staff",
        "additionalGids": [],
        "strict": False,
    }
    assert process["seccomp"]


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        pytest.param({"run_as_user": {"value": 5}}, ("5", ""), id="uid"),
        pytest.param({"run_as_user": {}}, ("0", ""), id="uid-0"),
        pytest.param({"run_as_username": "n"}, ("n", ""), id="name"),
        pytest.param({"run_as_user": {"value": 5}, "run_as_group": {}}, ("5", "0"), id="gid-0"),
        pytest.param({}, ("web", "staff"), id="image"),
    ],
)
def test_user(context: dict[str, Any], expected: tuple[str, str]) -> None:
    found = spec.user(IMAGE, context)
    assert (found["user"], found["group"]) == expected


def test_mounts_are_ordered_by_depth_and_replace_our_files() -> None:
    config = {
        "command": ["x"],
        "mounts": [
            {"container_path": "/a/b/c", "host_path": "/1"},
            {"container_path": "/a", "host_path": "/2", "readonly": True},
            {"container_path": "/etc/hosts", "host_path": "/3"},
        ],
    }
    found = spec.build(inputs(config))["mounts"]
    assert [(m["destination"], m["source"], m["options"]) for m in found] == [
        ("/a", "/2", ["rbind", "rprivate", "ro"]),
        ("/etc/hosts", "/3", ["rbind", "rprivate"]),
        ("/a/b/c", "/1", ["rbind", "rprivate"]),
    ]
    with pytest.raises(ValueError, match="not absolute"):
        spec.mount({"container_path": "a"})


def test_resources() -> None:
    given = {"cpu_shares": 100, "cpu_quota": 0, "memory_limit_in_bytes": 5, "unified": {"a.b": "c"}}
    assert spec.resources(given) == {
        "cpu": {"shares": 100},
        "memory": {"limit": 5},
        "unified": {"a.b": "c"},
    }


def test_privileged_has_no_filter_and_no_masks() -> None:
    context = {"privileged": True, "masked_paths": ["/proc/kcore"]}
    found = spec.build(inputs({"command": ["x"], "linux": {"security_context": context}}))
    assert found["process"]["seccomp"] == ""
    assert found["linux"]["maskedPaths"] == []
    assert found["linux"]["resources"]["devices"] == [{"allow": True, "type": "a", "access": "rwm"}]
