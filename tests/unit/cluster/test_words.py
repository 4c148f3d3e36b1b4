"""Words of commands: what they understand, and what they say."""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tiphys import UPSTREAM_VERSION, __version__
from tiphys.__main__ import COMMANDS, main
from tiphys.cli.output import CommandError, wants_json
from tiphys.cluster import completion, failure_cause, settings
from tiphys.cluster.commands import cp, logs, mount, ssh
from tiphys.cluster.commands.config import defaults
from tiphys.cluster.commands.namespace import create
from tiphys.cluster.processes import Process
from tiphys.cluster.team_namespace import Team, objects, policies
from tiphys.lib.process import ProcessIdentity


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TIPHYS_HOME", str(tmp_path))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    return tmp_path


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["-o", "json"], True),
        (["x", "--output=json"], True),
        (["-ojson"], True),
        (["-o", "yaml"], False),
        (["json"], False),
        (["--", "-o", "json"], False),
        ([], False),
    ],
)
def test_who_wants_json(words: list[str], wanted: bool) -> None:
    assert wants_json(words) is wanted


@pytest.mark.parametrize(
    ("source", "target", "wanted"),
    [
        ("a", "/b", [("", "a"), ("first", "/b")]),
        ("./a", "/b/", [("", "./a"), ("first", "/b/")]),
        ("n2:/a", "b", [("n2", "/a"), ("", "b")]),
        ("a", "n2:/b", [("", "a"), ("n2", "/b")]),
        ("n1:/a", "n2:/b", [("n1", "/a"), ("n2", "/b")]),
        ("./x:y", "/b", [("", "./x:y"), ("first", "/b")]),
    ],
)
def test_where_files_are_copied(source: str, target: str, wanted: list[tuple[str, str]]) -> None:
    assert list(cp.places(source, target, "first")) == wanted


@pytest.mark.parametrize(("source", "target"), [("a", "b"), ("n:a", "/b"), ("a", "n:b")])
def test_a_machine_has_no_current_directory(source: str, target: str) -> None:
    with pytest.raises(CommandError, match="not an absolute path"):
        cp.places(source, target, "first")


@pytest.mark.parametrize("text", ["", "/a", "/a:b", ":/a", "/no/such/directory:/a"])
def test_what_cannot_be_mounted(text: str) -> None:
    with pytest.raises(CommandError):
        mount.split(text)


def test_what_is_mounted(tmp_path: Path) -> None:
    assert mount.split(f"{tmp_path}:/data") == (tmp_path, Path("/data"))


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ([], ("", [])),
        (["ls", "-l"], ("", ["ls", "-l"])),
        (["--", "ls", "-l"], ("", ["ls", "-l"])),
        (["-n", "m02", "--", "ls"], ("m02", ["ls"])),
        (["--node=m02", "ls", "-n", "x"], ("m02", ["ls", "-n", "x"])),
        (["--native-ssh=false"], ("", [])),
    ],
)
def test_ssh(words: list[str], wanted: tuple[str, list[str]]) -> None:
    assert ssh.parse(words) == wanted


def test_ssh_has_few_flags() -> None:
    with pytest.raises(CommandError, match="unknown flag -x"):
        ssh.parse(["-x"])


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ([], f"tiphys {__version__} (Kubernetes {UPSTREAM_VERSION})\n"),
        (["--short"], f"{__version__}\n"),
        (["-o", "yaml"], f"tiphysVersion: {__version__}\nkubernetesVersion: {UPSTREAM_VERSION}\n"),
    ],
)
@pytest.mark.parametrize("word", ["version", "--version"])
def test_version(
    word: str, words: list[str], wanted: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([word, *words]) == 0
    assert capsys.readouterr().out == wanted


def test_version_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["version", "--components", "-o", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["tiphysVersion"] == __version__
    assert found["pythonVersion"].startswith("3.")


def test_settings_are_set_shown_and_taken_back(capsys: pytest.CaptureFixture[str]) -> None:
    for name, value in (("cpus", "2"), ("keep-context", "true"), ("wait-timeout", "2m")):
        assert main(["config", "set", name, value]) == 0
    capsys.readouterr()
    assert main(["config", "view"]) == 0
    assert capsys.readouterr().out == "- cpus: 2\n- keep-context: true\n- wait-timeout: 120\n"
    assert main(["config", "get", "keep-context"]) == 0
    assert main(["config", "unset", "keep-context"]) == 0
    assert capsys.readouterr().out == "true\n"
    assert main(["config", "get", "keep-context"]) == 14
    assert main(["config", "view", "-o", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"cpus": "2", "wait-timeout": 120.0}


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("colour", "red", 14),
        ("nodes", "many", 15),
        ("cpus", "0", 15),
        ("memory", "much", 15),
        ("overlay", "tunnel", 15),
        ("keep-context", "maybe", 15),
        ("profile", "NAME", 15),
        ("wait", "everything", 15),
        ("wait-timeout", "soon", 15),
    ],
)
def test_settings_that_cannot_be(name: str, value: str, code: int) -> None:
    assert main(["config", "set", name, value]) == code


def test_a_damaged_file_of_settings_is_told(home: Path) -> None:
    (home / "state").mkdir()
    (home / "state" / "config.json").write_text("{")
    assert main(["config", "view"]) == 16
    assert main(["start", "--dry-run", "--nodes", "0"]) == 16


def test_every_setting_has_a_default_and_is_a_flag() -> None:
    assert set(defaults.DEFAULTS) == set(settings.SETTINGS)
    from tiphys.cluster.commands import start

    flags = {flag for action in start._parser()._actions for flag in action.option_strings}
    assert {f"--{name}" for name in settings.SETTINGS if name != settings.PROFILE} <= flags


def test_a_flag_wins_over_a_setting() -> None:
    options = argparse.Namespace(nodes=None, cpus="1", wait="", keep_context=False)
    known = {"nodes": 3, "cpus": "2", "wait": "all", "profile": "x"}
    settings.fill(options, known, is_new=True)
    assert (options.nodes, options.cpus, options.wait) == (3, "1", "all")


def test_settings_of_a_cluster_are_for_new_ones() -> None:
    options = argparse.Namespace(nodes=None, wait="")
    settings.fill(options, {"nodes": 3, "wait": "all"}, is_new=False)
    assert (options.nodes, options.wait) == (None, "all")


def test_the_profile_that_is_meant(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profile"]) == 0
    assert main(["config", "set", "profile", "other"]) == 0
    assert main(["profile", "current"]) == 0
    assert main(["profile", "current", "-p", "third"]) == 0
    assert capsys.readouterr().out == "tiphys\nother\nthird\n"
    assert main(["profile", "use", "none"]) == 85
    assert main(["profile", "none"]) == 85


@pytest.mark.parametrize(
    ("words", "some"),
    [
        ([""], {"start", "kubectl", "namespace"}),
        (["st"], {"start", "status", "stop", "store"}),
        (["node", ""], {"add", "list", "shell"}),
        (["node", "st"], {"start", "stop"}),
        (["-p", "x", "node", "st"], {"start", "stop"}),
        (["start", "--wa"], {"--wait", "--wait-timeout"}),
        (["config", "set", "n"], {"nodes"}),
        (["completion", ""], {"bash", "zsh", "fish"}),
        (["image", "build", "--t"], {"--tag"}),
        (["kubectl", "ge"], {"get"}),
        (["nothing", ""], set()),
    ],
)
def test_candidates(words: list[str], some: set[str]) -> None:
    found = completion.candidates(COMMANDS, words, "tiphys")
    assert some <= set(found)
    assert found == sorted(found)
    assert all(one.startswith(words[-1]) for one in found)


def test_profiles_are_candidates(home: Path) -> None:
    (home / "state" / "dev").mkdir(parents=True)
    assert completion.candidates(COMMANDS, ["-p", ""], "tiphys") == ["dev"]
    assert completion.candidates(COMMANDS, ["profile", "use", "d"], "tiphys") == ["dev"]


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_a_script_per_shell(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    assert "__complete" in capsys.readouterr().out
    assert main(["completion", "tcsh"]) == 2


def test_a_real_bash_completes() -> None:
    tiphys = Path(sys.executable).parent / "tiphys"
    script = f"""
    PATH={tiphys.parent}:$PATH
    source <(tiphys completion bash)
    complete -p tiphys >/dev/null || exit 1
    COMP_WORDS=(tiphys node st) COMP_CWORD=2
    _tiphys
    echo "${{COMPREPLY[@]}}"
    """
    words = ["bash", "--norc", "-c", script]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "start stop\n"


def test_problems_of_a_log() -> None:
    lines = [
        "2026-01-01T00:00:00.000Z INFO a fine",
        "2026-01-01T00:00:00.000Z WARNING a odd",
        "2026-01-01T00:00:00.000Z INFO a fine",
        "2026-01-01T00:00:00.000Z ERROR a bad",
        "Traceback (most recent call last):",
        "ValueError: no",
        "2026-01-01T00:00:00.000Z INFO a fine",
    ]
    assert logs.problems(lines) == [lines[1], *lines[3:6]]
    text = "\n".join(lines)
    assert failure_cause.last_words(text) == "ValueError: no"
    assert failure_cause.last_words("\n".join(lines[:4])) == "bad"
    assert failure_cause.last_words("") == ""


def test_parts_that_end_again_and_again() -> None:
    def part(restarts: int) -> Process:
        return Process("apiserver", "", ProcessIdentity("b", 1, 1), "tiphys: apiserver", restarts)

    assert failure_cause.failing([part(4)], {}) == []
    assert failure_cause.failing([part(5)], {}) == [part(5)]
    assert failure_cause.failing([part(9)], {"tiphys: apiserver": 5}) == []


def a_team(**choices: object) -> Team:
    return Team("team-a", "ann", cpu="2", memory="1Gi", dns="10.96.0.10", **choices)  # type: ignore[arg-type]


def test_what_a_team_gets() -> None:
    kinds = [obj["kind"] for _, obj in objects(a_team())]
    assert kinds == [
        "Namespace",
        "ResourceQuota",
        "ResourceQuota",
        "LimitRange",
        "Role",
        "RoleBinding",
    ]
    assert "NetworkPolicy" in [obj["kind"] for _, obj in objects(a_team(isolated=True))]
    quota = objects(a_team())[1][1]["spec"]["hard"]
    assert quota["limits.cpu"] == "2"
    assert quota["requests.memory"] == "1Gi"
    (bounds,) = objects(a_team())[3][1]["spec"]["limits"]
    assert bounds["default"] == {"cpu": "500m", "memory": "256Mi"}


def test_who_is_isolated_may_not_change_policies() -> None:
    def verbs(team: Team) -> set[str]:
        (role,) = (obj for _, obj in objects(team) if obj["kind"] == "Role")
        return {
            verb
            for rule in role["rules"]
            for verb in rule["verbs"]
            if "networkpolicies" in rule["resources"]
        }

    assert verbs(a_team(isolated=True)) == {"get", "list", "watch"}
    assert "delete" in verbs(a_team())


def test_the_internet_is_what_is_nobodys_here() -> None:
    team = a_team(isolated=True, internet=True, own_ranges=("10.0.0.0/8",))
    (policy,) = policies(team)
    block = {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}
    assert {"to": [{"ipBlock": block}]} in policy["spec"]["egress"]
    assert len(policies(a_team(isolated=True))[0]["spec"]["egress"]) == 2


@pytest.mark.parametrize(
    "words",
    [
        ["NAME", "--user", "u"],
        ["team", "--user", "system:admin"],
        ["team", "--user", ""],
        ["team", "--user", "u", "--cpu", "many"],
        ["team", "--user", "u", "--memory", "-1Gi"],
        ["team", "--user", "u", "--days", "9999"],
    ],
)
def test_teams_that_cannot_be(words: list[str]) -> None:
    from tiphys.cluster.profile import Profile, Roots

    profile = Profile(
        "p", Roots(Path("/n"), Path("/n")), 1, "10.1.0.0/24", "10.2.0.0/16", "10.3.0.0/16", ""
    )
    with pytest.raises(CommandError):
        create._team(create._parser().parse_args(words), profile)


def test_images_of_an_addon() -> None:
    from tiphys.cluster.commands import addons_pages

    pod = {"spec": {"containers": [{"name": "b", "image": "y"}, {"name": "a", "image": "x"}]}}
    assert addons_pages.images([pod, pod]) == [["a", "x"], ["b", "y"]]
    assert main(["addons", "open", "none"]) == 110
    assert main(["addons", "images"]) == 2
