"""`tiphys container inspect NAME`: all that makes a container, and what it lacks compared with a
virtual machine. NAME is a container's, a pod's, POD/CONTAINER, or the beginning of an id."""

import json
from collections.abc import Sequence
from typing import Any

from tiphys.cli.arguments import Parser
from tiphys.cli.output import CommandError, table
from tiphys.cluster.commands.container.list import cgroup
from tiphys.cluster.commands.container.observed import Observed, observe


def run(name: str, arguments: Sequence[str]) -> int:
    parser = Parser(prog="tiphys container inspect", description="show one")
    parser.add_argument("container", help="name, pod, POD/CONTAINER or beginning of an id")
    parser.add_argument("-n", "--namespace", default="", help="of the pod")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
    options = parser.parse_args(arguments)
    known = [one for one in observe(name) if options.namespace in ("", one.namespace)]
    found = [one for one in known if matches(one, options.container)]
    if not found:
        raise CommandError(
            f"no container {options.container}",
            fix="tiphys container list --all",
            reason="CONTAINER_NOT_FOUND",
        )
    if options.output == "json":
        print(json.dumps([one.document() for one in found]))
        return 0
    print("\n\n".join(_text(one) for one in found))
    return 0


def matches(one: Observed, text: str) -> bool:
    return text in (one.name, one.pod, f"{one.pod}/{one.name}") or one.id.startswith(text)


def _text(one: Observed) -> str:
    head = [
        f"Container:    {one.name} of pod {one.namespace}/{one.pod} on node {one.node}",
        f"Image:        {one.image}",
        f"State:        {one.state}",
    ]
    if one.isolation is None:
        return "\n".join(head)
    process, sandboxing = one.isolation["process"], one.isolation["sandboxing"]
    seccomp, user = sandboxing["seccomp"], sandboxing["user"]
    lines = [
        *head,
        f"Process:      {process['pid']} on this machine: {process['command']}",
        f"User:         {user['uid']}:{user['gid']}",
        f"Capabilities: {' '.join(sandboxing['capabilities']['effective']) or 'none'}",
        f"Seccomp:      {seccomp['mode']} ({seccomp['filters']} filters)",
        f"New rights:   {'never' if sandboxing['noNewPrivileges'] else 'by set-user-id programs'}",
        f"Cgroup:       {cgroup(sandboxing['cgroup']['paths'])}",
        *(f"  {key}: {value}" for key, value in sandboxing["cgroup"]["limits"].items()),
        "Namespaces:",
        _indented(_namespaces(sandboxing)),
        "Mounts:",
        _indented(_mounts(sandboxing)),
        "Compared with a virtual machine it lacks:",
        *(
            f"  - its own {row['what']}: {row['why']}"
            for row in one.isolation["lacksComparedWithVM"]
        ),
    ]
    return "\n".join(lines)


def _namespaces(sandboxing: dict[str, Any]) -> str:
    rows = sandboxing["namespaces"].items()
    return table(
        ["KIND", "INODE", "SHARED WITH"],
        [[kind, str(row["inode"]), _circle(row["sharedWith"])] for kind, row in rows],
    )


def _circle(name: str) -> str:
    return "nobody" if name == "own" else f"the {name}"


def _mounts(sandboxing: dict[str, Any]) -> str:
    rows = [
        [row["destination"], row["type"], "ro" if "ro" in row["options"] else "rw", row["source"]]
        for row in sandboxing["mounts"]
    ]
    return table(["PLACE", "TYPE", "MODE", "SOURCE"], rows)


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
