"""Settings that `tiphys start` begins with: one JSON file for all profiles, as minikube's config.

A setting is what a flag would say; the flag wins. Sizes and numbers are for new clusters: an
existing one keeps what it has.
"""

import argparse
import json
import os
import re
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from tiphys.cli.output import CommandError
from tiphys.cluster.profile import Roots

FILE: Final = "config.json"
PROFILE: Final = "profile"  # The one meant where -p is not said.
_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")


def _number(text: str) -> int:
    if not text.isdecimal():
        raise ValueError("a number is wanted")
    return int(text)


def _switch(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError("true or false is wanted")
    return text.lower() == "true"


def _word(*known: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in known:
            raise ValueError(f"one of {', '.join(known)} is wanted")
        return text

    return read


def _cpus(text: str) -> str:
    if text not in ("max", "no-limit") and _number(text) < 1:
        raise ValueError("a number from 1, max or no-limit is wanted")
    return text


def _memory(text: str) -> str:
    if not re.fullmatch(r"max|no-limit|\d+\s*[bkmgBKMG]?(i?[bB]?)", text):
        raise ValueError("a size such as 2048, 2048mb or 2g is wanted")
    return text


def _duration(text: str) -> float:
    from tiphys.lib.durations import seconds

    return seconds(text)


def _wait(text: str) -> str:
    from tiphys.cluster.start_choices import wait_parts

    try:
        wait_parts(text)
    except CommandError as exc:
        raise ValueError(exc.message) from exc
    return text


def _profile(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError("at most 40 lower-case letters, digits and - are wanted")
    return text


# Setting -> how it is read. Each is the flag of `tiphys start` of that name, but for the profile.
SETTINGS: Final[Mapping[str, Callable[[str], Any]]] = {
    "control-planes": _number,
    "cpus": _cpus,
    "keep-context": _switch,
    "memory": _memory,
    "nodes": _number,
    "overlay": _word("auto", "vxlan", "host-gw"),
    PROFILE: _profile,
    "proxy-mode": _word("nftables", "iptables", "userspace"),
    "wait": _wait,
    "wait-timeout": _duration,
}
# Also for a cluster that is there already: they are about the start and not about the cluster.
_ALWAYS: Final = ("keep-context", "wait", "wait-timeout")


def load(roots: Roots) -> dict[str, Any]:
    """Raises CommandError when the file is damaged."""
    path = roots.state / FILE
    try:
        found = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as exc:
        raise _damaged(path, exc) from exc
    if not isinstance(found, dict):
        raise _damaged(path, "it holds no settings")
    return found


def _damaged(path: Path, exc: object) -> CommandError:
    return CommandError(
        f"the settings cannot be read ({path}: {exc})",
        fix=f"correct or remove it: rm {path}",
        reason="CONFIG_DAMAGED",
    )


def checked(name: str, text: str) -> Any:
    """The value that a text stands for. Raises CommandError."""
    check_name(name)
    try:
        return SETTINGS[name](text)
    except ValueError as exc:
        raise CommandError(
            f'"{text}" is no value of {name}: {exc}',
            fix="tiphys config defaults",
            reason="CONFIG_VALUE",
        ) from exc


def check_name(name: str) -> None:
    """Raises CommandError."""
    if name not in SETTINGS:
        raise CommandError(
            f'there is no setting "{name}"',
            fix=f"settings: {', '.join(SETTINGS)}",
            reason="CONFIG_KEY",
        )


def save(roots: Roots, settings: Mapping[str, Any]) -> None:
    """Atomic. Raises OSError."""
    roots.state.mkdir(parents=True, exist_ok=True, mode=0o711)
    fd, temporary = tempfile.mkstemp(dir=roots.state, prefix=".config")
    with os.fdopen(fd, "w") as file:
        json.dump(dict(sorted(settings.items())), file, indent=2)
    Path(temporary).replace(roots.state / FILE)


def fill(options: argparse.Namespace, settings: Mapping[str, Any], *, is_new: bool) -> None:
    """Give options that were not said what the settings say. Raises CommandError."""
    for name, value in settings.items():
        field = name.replace("-", "_")
        if name == PROFILE or not (is_new or name in _ALWAYS):
            continue
        if getattr(options, field, None) in (None, "", False):
            setattr(options, field, checked(name, str(value)))


def shown(value: object) -> str:
    """As it was written: `true`, not `True`."""
    return (
        str(value).lower()
        if isinstance(value, bool)
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )
