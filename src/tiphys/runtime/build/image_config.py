"""What instructions that write no files change in an image's config. Pure.

Sources: docs.docker.com/reference/dockerfile; OCI image-spec config.md.
"""

import json
import posixpath
import re
from collections.abc import Mapping
from typing import Any, Final

from tiphys.runtime.build.dockerfile import Instruction
from tiphys.runtime.build.words import WordError, expand, pairs, split

Config = dict[str, Any]
SHELL: Final = ("/bin/sh", "-c")
_PORT: Final = re.compile(r"(\d+)(?:-(\d+))?(?:/(tcp|udp|sctp))?")
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ns|us|ms|s|m|h)")
_NANOSECONDS: Final = {
    "ns": 1,
    "us": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
PORTS_MAX: Final = 65535


def environment(config: Mapping[str, Any]) -> dict[str, str]:
    """The variables of Env."""
    return dict(pair.split("=", 1) for pair in config.get("Env") or () if "=" in pair)


def apply(config: Config, one: Instruction, variables: Mapping[str, str], escape: str) -> Config:
    """The config's "config" after an instruction other than FROM, ARG, RUN, COPY, ADD.

    Raises: DockerfileError.
    """
    try:
        return _CHANGES[one.name](config, one, variables, escape)
    except WordError as exc:
        raise one.error(str(exc)) from exc


def _env(config: Config, one: Instruction, variables: Mapping[str, str], escape: str) -> Config:
    found = environment(config) | pairs(one.rest, variables, escape)
    return config | {"Env": [f"{key}={value}" for key, value in found.items()]}


def _label(config: Config, one: Instruction, variables: Mapping[str, str], escape: str) -> Config:
    found = pairs(one.rest, variables, escape)
    return config | {"Labels": (config.get("Labels") or {}) | found}


def _maintainer(
    config: Config, one: Instruction, variables: Mapping[str, str], escape: str
) -> Config:
    return config | {"Labels": (config.get("Labels") or {}) | {"maintainer": one.rest}}


def command(one: Instruction, config: Mapping[str, Any]) -> list[str]:
    """Exec form as it stands, shell form behind the image's shell."""
    words = one.json
    return words if words is not None else [*(config.get("Shell") or SHELL), one.rest]


def _cmd(config: Config, one: Instruction, variables: Mapping[str, str], escape: str) -> Config:
    return config | {"Cmd": command(one, config)}


def _entrypoint(
    config: Config, one: Instruction, variables: Mapping[str, str], escape: str
) -> Config:
    return config | {"Entrypoint": command(one, config)}


def _expose(config: Config, one: Instruction, variables: Mapping[str, str], escape: str) -> Config:
    ports = dict(config.get("ExposedPorts") or {})
    for word in split(one.rest, escape):
        text = expand(word, variables, escape)
        match = _PORT.fullmatch(text)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if match is None or not first <= last <= PORTS_MAX:
            raise one.error(f"invalid port {text!r}")
        ports |= {f"{port}/{match[3] or 'tcp'}": {} for port in range(first, last + 1)}
    return config | {"ExposedPorts": ports}


def _user(config: Config, one: Instruction, variables: Mapping[str, str], escape: str) -> Config:
    return config | {"User": expand(one.rest, variables, escape)}


def _workdir(config: Config, one: Instruction, variables: Mapping[str, str], escape: str) -> Config:
    place = expand(one.rest, variables, escape)
    return config | {"WorkingDir": absolute(config, place)}


def absolute(config: Mapping[str, Any], place: str) -> str:
    """place seen from the working directory."""
    return posixpath.normpath(posixpath.join("/", config.get("WorkingDir") or "/", place))


def _volume(config: Config, one: Instruction, variables: Mapping[str, str], escape: str) -> Config:
    words = one.json or list(split(one.rest, escape))
    places: Config = {expand(word, variables, escape): {} for word in words}
    return config | {"Volumes": (config.get("Volumes") or {}) | places}


def _stop_signal(
    config: Config, one: Instruction, variables: Mapping[str, str], escape: str
) -> Config:
    return config | {"StopSignal": expand(one.rest, variables, escape)}


def _shell(config: Config, one: Instruction, variables: Mapping[str, str], escape: str) -> Config:
    if not one.json:
        raise one.error("requires the arguments to be in JSON form")
    return config | {"Shell": one.json}


def _on_build(
    config: Config, one: Instruction, variables: Mapping[str, str], escape: str
) -> Config:
    trigger = one.rest.split()[0].upper()
    if trigger in ("ONBUILD", "FROM", "MAINTAINER"):
        raise one.error(f"{trigger} isn't allowed as an ONBUILD trigger")
    return config | {"OnBuild": [*(config.get("OnBuild") or ()), one.rest]}


def _health_check(
    config: Config, one: Instruction, variables: Mapping[str, str], escape: str
) -> Config:
    kind, _, rest = one.rest.partition(" ")
    if kind.upper() == "NONE":
        return config | {"Healthcheck": {"Test": ["NONE"]}}
    if kind.upper() != "CMD" or not rest.strip():
        raise one.error(f"unknown type {kind!r}")
    try:
        words = json.loads(rest)
        test = ["CMD", *words]
    except (ValueError, TypeError):
        test = ["CMD-SHELL", rest.strip()]
    check: Config = {"Test": test}
    for name, key in (
        ("interval", "Interval"),
        ("timeout", "Timeout"),
        ("start-period", "StartPeriod"),
    ):
        if text := one.flag(name):
            check[key] = _duration(one, text)
    if retries := one.flag("retries"):
        check["Retries"] = int(retries)
    return config | {"Healthcheck": check}


def _duration(one: Instruction, text: str) -> int:
    """Go's duration in nanoseconds."""
    parts = _DURATION.findall(text)
    if not parts or "".join(f"{number}{unit}" for number, unit in parts) != text:
        raise one.error(f"invalid duration {text!r}")
    return int(sum(float(number) * _NANOSECONDS[unit] for number, unit in parts))


_CHANGES: Final = {
    "ENV": _env,
    "LABEL": _label,
    "MAINTAINER": _maintainer,
    "CMD": _cmd,
    "ENTRYPOINT": _entrypoint,
    "EXPOSE": _expose,
    "USER": _user,
    "WORKDIR": _workdir,
    "VOLUME": _volume,
    "STOPSIGNAL": _stop_signal,
    "SHELL": _shell,
    "ONBUILD": _on_build,
    "HEALTHCHECK": _health_check,
}
