"""What a start may be told, in minikube's words."""

import argparse

import pytest

from tiphys.cli.arguments import Parser
from tiphys.cli.output import CommandError
from tiphys.cluster import extra_config, published_ports, start_choices, start_wait
from tiphys.cluster.profile import Profile, Roots
from tiphys.kubelet.machine import Machine, bounded
from tiphys.lib import durations
from tiphys.scheduler.config import SchedulerConfig

GIB = 1 << 30


def options(*words: str) -> argparse.Namespace:
    parser = Parser(prog="tiphys start")
    start_choices.add_arguments(parser)
    parser.add_argument("--wait", nargs="?", const="all", default="")
    parser.add_argument("--overlay")
    parser.add_argument("--apiserver-port", type=int, default=0)
    return parser.parse_args(words)


@pytest.fixture
def profile(tmp_path: object) -> Profile:
    from pathlib import Path

    return Profile(
        name="p",
        roots=Roots(Path("/none"), Path("/none")),
        api_port=6443,
        node_cidr="192.168.49.0/24",
        pod_cidr="10.244.0.0/16",
        service_cidr="10.96.0.0/16",
        load_balancer_pool="192.168.49.128/25",
        cpus=1,
    )


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("2048", 2 * GIB),
        ("2048mb", 2 * GIB),
        ("2g", 2 * GIB),
        ("2G", 2 * GIB),
        ("2Gi", 2 * GIB),
        ("2097152k", 2 * GIB),
        ("max", 0),
        ("no-limit", 0),
    ],
)
def test_memory(text: str, wanted: int) -> None:
    assert start_choices.memory(text, 4 * GIB) == wanted


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("much", "BAD_VALUE"),
        ("1", "BAD_VALUE"),
        ("-1", "BAD_VALUE"),
        ("5g", "MACHINE_MEMORY"),
    ],
)
def test_memory_that_cannot_be(text: str, reason: str) -> None:
    with pytest.raises(CommandError) as found:
        start_choices.memory(text, 4 * GIB)
    assert found.value.reason.id == reason


@pytest.mark.parametrize(
    ("text", "wanted"), [("1", 1), ("2", 2), ("max", 0), ("3", "MACHINE_CPUS"), ("0", "BAD_VALUE")]
)
def test_cpus(text: str, wanted: int | str) -> None:
    if isinstance(wanted, int):
        assert start_choices.cpus(text, 2) == wanted
        return
    with pytest.raises(CommandError) as found:
        start_choices.cpus(text, 2)
    assert found.value.reason.id == wanted


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["8080:30080"], [("0.0.0.0", 8080, 30080)]),
        (["8080:30080/tcp"], [("0.0.0.0", 8080, 30080)]),
        (["127.0.0.1:1:2", "3:4"], [("127.0.0.1", 1, 2), ("0.0.0.0", 3, 4)]),
    ],
)
def test_ports(words: list[str], wanted: list[tuple[str, int, int]]) -> None:
    assert published_ports.parse_all(words) == wanted


@pytest.mark.parametrize("text", ["8080", "a:b", "0:1", "1:70000", "x:1:2", "1:2:3:4", ""])
def test_ports_that_cannot_be(text: str) -> None:
    with pytest.raises(CommandError):
        published_ports.parse(text)


def test_a_port_is_published_once() -> None:
    with pytest.raises(CommandError, match="port 1 twice"):
        published_ports.parse_all(["1:2", "1:3"])


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("kubelet.max-pods", "is not COMPONENT.OPTION=VALUE"),
        ("max-pods=5", "is not COMPONENT.OPTION=VALUE"),
        ("kubelets.max-pods=5", 'there is no component "kubelets"'),
        ("kubelet.pods=5", 'kubelet has no option "pods"'),
        ("kubelet.max-pods=many", "invalid literal"),
        ("kubelet.max-pods=0", "a number from 1 to 1000"),
        ("apiserver.service-node-port-range=2-1", "a range of ports"),
        ("kubelet.register-with-taints=a=b:Never", "taints are wanted"),
        ("kubelet.node-labels=a", "length 1; 2 is required"),
        ("controller-manager.node-monitor-grace-period=soon", "no duration"),
        ("apiserver.token-auth-file=/nowhere", "there is no file /nowhere"),
        (f"apiserver.token-auth-file={__file__}", "must have at least 3 columns"),
    ],
)
def test_settings_that_cannot_be(setting: str, words: str) -> None:
    with pytest.raises(CommandError) as found:
        extra_config.check([setting])
    assert words in found.value.message
    assert found.value.fix


def test_settings_reach_their_component_alone(profile: Profile) -> None:
    from pathlib import Path

    config = SchedulerConfig(Path("k"))
    settings = ["kubelet.max-pods=5", "scheduler.pod-max-backoff-seconds=2m"]
    found = extra_config.applied(settings, "scheduler", config)
    assert (found.pod_max_backoff_seconds, found.pod_initial_backoff_seconds) == (120, 1)


def test_every_option_is_a_field_of_its_component() -> None:
    from dataclasses import fields

    from tiphys.apiserver.config import ApiServerConfig
    from tiphys.controllers.config import ControllersConfig
    from tiphys.kubelet.config import KubeletConfig
    from tiphys.proxy.config import ProxyConfig

    configs = {
        "apiserver": ApiServerConfig,
        "controller-manager": ControllersConfig,
        "kubelet": KubeletConfig,
        "kube-proxy": ProxyConfig,
        "scheduler": SchedulerConfig,
    }
    for component, known in extra_config.OPTIONS.items():
        names = {field.name for field in fields(configs[component])}
        assert {option.field for option in known.values()} <= names


def test_what_is_said_changes_and_the_rest_stays(profile: Profile) -> None:
    found = start_choices.chosen(profile, options("--ports", "1:2,3:4", "--memory", "max"))
    assert (found.ports, found.memory_bytes, found.cpus) == (("1:2", "3:4"), 0, 1)
    assert start_choices.chosen(profile, options()) is profile


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["--cpus", "max"], "runs with --cpus 1, not no-limit"),
        (["--ports", "1:2"], "runs with --ports none, not 1:2"),
        (["--extra-config", "kubelet.max-pods=9"], "--extra-config none, not kubelet.max-pods=9"),
    ],
)
def test_a_running_cluster_is_not_changed(profile: Profile, words: list[str], wanted: str) -> None:
    with pytest.raises(CommandError) as found:
        start_choices.check_unchanged(profile, options(*words))
    assert wanted in found.value.message
    assert found.value.fix == "stop it first: tiphys stop -p p"


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["--apiserver-port", "1"], "was made with --apiserver-port 6443, not 1"),
    ],
)
def test_what_only_a_new_cluster_chooses(profile: Profile, words: list[str], wanted: str) -> None:
    with pytest.raises(CommandError) as found:
        start_choices.check_fixed(profile, options(*words))
    assert wanted in found.value.message
    start_choices.check_fixed(profile, options("--overlay", "auto"))


@pytest.mark.parametrize(
    "words",
    [
        ["--driver", "docker"],
        ["--container-runtime", "docker"],
        ["--kubernetes-version", "v1.20.0"],
        ["--wait", "everything"],
    ],
)
def test_words_that_cannot_be(words: list[str]) -> None:
    with pytest.raises(CommandError):
        start_choices.check_words(options(*words))


@pytest.mark.parametrize("version", ["stable", "latest", "v1.36.2", "1.36", "v1.36"])
def test_versions_that_are_served(version: str) -> None:
    start_choices.check_words(options("--kubernetes-version", version))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", set()),
        ("none", set()),
        ("false", set()),
        ("all", set(start_choices.WAIT_PARTS)),
        ("true", set(start_choices.WAIT_PARTS)),
        ("apiserver,node_ready", {"apiserver", "node_ready"}),
    ],
)
def test_wait(text: str, wanted: set[str]) -> None:
    assert start_choices.wait_parts(text) == wanted


def a_pod(phase: str = "Running", ready: str = "True") -> dict[str, object]:
    return {"status": {"phase": phase, "conditions": [{"type": "Ready", "status": ready}]}}


@pytest.mark.parametrize(
    ("pods", "wanted"),
    [
        ([], True),
        ([a_pod()], True),
        ([a_pod(), a_pod(ready="False")], False),
        ([a_pod("Succeeded", "False")], True),
        ([{"status": {"phase": "Pending"}}], False),
    ],
)
def test_system_pods(pods: list[dict[str, object]], wanted: bool) -> None:
    assert start_wait.system_pods_are_ready({"items": pods}) is wanted
    assert start_wait.system_pods_are_ready(None) is False


@pytest.mark.parametrize(
    ("text", "wanted"), [("90", 90), ("90s", 90), ("1.5s", 1.5), ("6m0s", 360), ("1h30m", 5400)]
)
def test_durations(text: str, wanted: float) -> None:
    assert durations.seconds(text) == wanted


@pytest.mark.parametrize("text", ["", "soon", "-1s", "1d"])
def test_no_durations(text: str) -> None:
    with pytest.raises(ValueError, match="no duration"):
        durations.seconds(text)


def test_a_node_is_a_part_of_the_machine() -> None:
    machine = Machine(2, GIB, 1, "amd64", "", "", "", "", "", "")
    assert bounded(machine, 0, 0) == machine
    small = bounded(machine, 1, GIB // 2)
    assert (small.cpus, small.memory) == (1, GIB // 2)
    assert bounded(machine, 9, 9 * GIB) == machine
