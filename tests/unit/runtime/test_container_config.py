"""Small decisions about containers and sandboxes."""

from typing import Any

import pytest

from tiphys.runtime.container_config import pid_mode, stop_signal
from tiphys.runtime.records import Container, Sandbox
from tiphys.runtime.sandboxes import resolver_file
from tiphys.runtime.selectors import labels_match


def a_container(**fields: Any) -> Container:
    defaults: dict[str, Any] = {
        "id": "c",
        "sandbox_id": "s",
        "config": {},
        "image_id": "i",
        "image_ref": "r",
        "layers": [],
        "image_process": {},
        "created_at": 1,
        "log_path": "",
        "cgroup": "",
    }
    return Container(**(defaults | fields))


@pytest.mark.parametrize(
    ("config", "image", "expected"),
    [
        pytest.param({}, {}, 15, id="default"),
        pytest.param({}, {"StopSignal": "SIGQUIT"}, 3, id="image"),
        pytest.param({}, {"StopSignal": "USR1"}, 10, id="image-short"),
        pytest.param({}, {"StopSignal": "9"}, 9, id="image-number"),
        pytest.param({}, {"StopSignal": "SIGRTMIN+3"}, 37, id="image-real-time"),
        pytest.param({}, {"StopSignal": "nonsense"}, 15, id="image-nonsense"),
        pytest.param({"stop_signal": "SIGRTMINPLUS3"}, {"StopSignal": "9"}, 37, id="pod"),
        pytest.param({"stop_signal": "SIGRTMAXMINUS1"}, {}, 63, id="pod-from-the-end"),
    ],
)
def test_stop_signal(config: dict[str, Any], image: dict[str, Any], expected: int) -> None:
    assert stop_signal(a_container(config=config, image_process=image)) == expected


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        pytest.param({"exit_code": 0, "finished_at": 5}, "Completed", id="completed"),
        pytest.param({"exit_code": 1, "finished_at": 5}, "Error", id="error"),
        pytest.param(
            {"exit_code": 137, "finished_at": 5, "oom_killed": True}, "OOMKilled", id="oom"
        ),
    ],
)
def test_reason_of_the_end(record: dict[str, Any], reason: str) -> None:
    container = a_container(started_at=3)
    container.ended(record)
    assert (container.reason, container.started_at, container.finished_at) == (reason, 3, 5)


@pytest.mark.parametrize(
    ("pod", "container", "expected"),
    [
        pytest.param("CONTAINER", {"pid": "CONTAINER"}, "container", id="own"),
        pytest.param("POD", {}, "pod", id="shared"),
        pytest.param("CONTAINER", {}, "container", id="pod-does-not-share"),
        pytest.param("NODE", {"pid": "NODE"}, "node", id="node"),
        pytest.param("POD", {"pid": "TARGET", "target_id": "x"}, "target:x", id="target"),
    ],
)
def test_pid_mode(pod: str, container: dict[str, str], expected: str) -> None:
    options = {"pid": pod}
    sandbox = Sandbox("s", {"linux": {"security_context": {"namespace_options": options}}}, 1)
    config = {"linux": {"security_context": {"namespace_options": container}}}
    assert pid_mode(config, sandbox) == expected


def test_resolver_file() -> None:
    dns = {"servers": ["1.1.1.1", "2.2.2.2"], "searches": ["a", "b"], "options": ["ndots:5"]}
    lines = "search a b\nnameserver 1.1.1.1\nnameserver 2.2.2.2\noptions ndots:5\n"
    assert resolver_file(dns) == lines
    assert resolver_file({}) == ""


def test_labels_match() -> None:
    assert labels_match(None, None)
    assert labels_match({"a": "1"}, {"a": "1", "b": "2"})
    assert not labels_match({"a": "1"}, {"a": "2"})
    assert not labels_match({"a": "1"}, None)
