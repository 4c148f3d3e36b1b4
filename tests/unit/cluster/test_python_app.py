"""How a program on the disk is started, named and left out of."""

from pathlib import Path

import pytest

from tiphys.cli.output import CommandError
from tiphys.cluster import python_app
from tiphys.cluster.python_app import start_command


@pytest.mark.parametrize(
    ("project", "files", "command"),
    [
        ({}, ["app.py", "x.py"], "python3 -u app.py"),
        ({}, ["app.py", "main.py"], "python3 -u main.py"),
        ({}, ["src/shop/__main__.py", "src/shop/x.py"], "python3 -u -m shop"),
        ({}, ["shop/__main__.py"], "python3 -u -m shop"),
        ({}, ["a/__main__.py", "b/__main__.py"], ""),
        ({}, ["x.py"], ""),
        (
            {"scripts": {"serve": "shop.web:run"}},
            ["app.py"],
            "python3 -u -c import sys; from shop.web import run as main; sys.exit(main())",
        ),
    ],
)
def test_how_a_folder_is_started(
    project: dict[str, object], files: list[str], command: str
) -> None:
    assert " ".join(start_command(project, files)) == command


def test_a_folder_with_a_project(tmp_path: Path) -> None:
    names = (
        "main.py",
        "data/x.txt",
        ".git/config",
        "pkg/__pycache__/a.pyc",
        "venv/bin/y",
        "no.log",
    )
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / ".dockerignore").write_text("*.log\n")
    (tmp_path / "requirements.txt").write_text("# note\none==1  # why\n\ntwo\n")
    found = python_app.find(tmp_path)
    assert found.files == ("data/x.txt", "main.py", "requirements.txt")
    assert found.needs == ("one==1", "two")
    text = '[project]\nname = "My_App"\ndependencies = ["three"]\n'
    (tmp_path / "pyproject.toml").write_text(text)
    found = python_app.find(tmp_path)
    assert (found.name, found.needs) == ("my-app", ("three",))


def test_a_change_is_noticed(tmp_path: Path) -> None:
    program = tmp_path / "My App.py"
    program.write_text("1")
    app = python_app.find(program)
    assert (app.name, app.files, app.command[-1]) == ("my-app", ("My App.py",), "My App.py")
    before = python_app.stamp(app)
    assert python_app.stamp(app) == before
    program.write_text("22")
    assert python_app.stamp(app) != before


@pytest.mark.parametrize("path", ["missing.py", "."])
def test_what_is_no_program_is_told(tmp_path: Path, path: str) -> None:
    with pytest.raises(CommandError) as told:
        python_app.find(tmp_path / path)
    assert told.value.fix
