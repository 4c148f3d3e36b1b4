"""Where -p may stand, and what an unknown command is told."""

import pytest

from tiphys.__main__ import main, take_profile


@pytest.mark.parametrize(
    ("arguments", "until_command", "profile", "rest"),
    [
        pytest.param(["-p", "a", "start"], True, "a", ["start"], id="before"),
        pytest.param(["start", "-p", "a", "--wait"], False, "a", ["start", "--wait"], id="after"),
        pytest.param(["kubectl", "-p", "x"], True, None, ["kubectl", "-p", "x"], id="kubectls-own"),
        pytest.param(["--profile=a", "logs"], True, "a", ["logs"], id="with-equals"),
        pytest.param(
            ["exec", "--", "-p", "1"], False, None, ["exec", "--", "-p", "1"], id="dashes"
        ),
    ],
)
def test_take_profile(
    arguments: list[str], until_command: bool, profile: str | None, rest: list[str]
) -> None:
    assert take_profile(arguments, until_command=until_command) == (profile, rest)


def test_an_unknown_command_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fly"]) == 2
    assert 'unknown command "fly" for "tiphys"' in capsys.readouterr().err


def test_the_version_names_both(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert "(Kubernetes v1.36.2)" in capsys.readouterr().out
