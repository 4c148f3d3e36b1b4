"""`tiphys cp SOURCE TARGET`: a file from or to a machine, or between two. Words: minikube's.

tiphys cp a.txt /tmp/a.txt            to the first machine
tiphys cp words-m02:/tmp/a.txt b.txt  from a machine
"""

import errno
import os
import shutil
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

from tiphys.cli.arguments import Parser
from tiphys.cli.output import CommandError
from tiphys.cluster import node_process, nodes
from tiphys.cluster.commands.stop import existing
from tiphys.cluster.profile import Node, Profile


class Place(NamedTuple):
    """node: "" is this machine itself."""

    node: str
    path: str


def run(name: str, arguments: Sequence[str]) -> int:
    parser = Parser(prog="tiphys cp", description="copy a file from or to a machine")
    parser.add_argument("source", metavar="[NODE:]SOURCE")
    parser.add_argument("target", metavar="[NODE:]TARGET", help="absolute on a machine")
    options = parser.parse_args(arguments)
    profile = existing(name)
    source, target = places(options.source, options.target, _first(profile))
    copy(profile, source, target)
    return 0


def _first(profile: Profile) -> str:
    if not profile.nodes:
        raise CommandError(
            f'profile "{profile.name}" is a control plane alone', reason="PROFILE_NO_NODES"
        )
    return profile.nodes[0].name


def places(source: str, target: str, first: str) -> tuple[Place, Place]:
    """As minikube: a target without a node is on the first one, unless the source names a node.

    Pure. Raises CommandError.
    """
    from_node, from_path = _split(source)
    to_node, to_path = _split(target)
    if not from_node and not to_node:
        to_node = first
    for node, path in ((from_node, from_path), (to_node, to_path)):
        if node and not path.startswith("/"):
            raise CommandError(
                f'"{path}" on {node} is not an absolute path',
                fix="a machine has no current directory: begin with /",
                reason="BAD_VALUE",
            )
    return Place(from_node, from_path), Place(to_node, to_path)


def _split(text: str) -> tuple[str, str]:
    node, colon, path = text.partition(":")
    return (node, path) if colon and "/" not in node else ("", text)


def copy(profile: Profile, source: Place, target: Place) -> None:
    """Two children, each where its file is, and a pipe between them. Raises CommandError."""
    read_end, write_end = os.pipe()
    report_read, report_write = os.pipe()

    def send() -> None:
        os.close(read_end)
        with open(source.path, "rb") as file, open(write_end, "wb") as pipe:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            pipe.write(f"{mode:04o}{os.path.basename(source.path)}\n".encode())
            shutil.copyfileobj(file, pipe)
            pipe.write(b"\0")  # The end, and not a sender that was killed.

    def receive() -> None:
        os.close(write_end)
        with open(read_end, "rb") as pipe:
            head = pipe.readline().decode()
            if not head:
                return  # The sender says what is wrong.
            _store(pipe, _path(target.path, head[4:-1]), int(head[:4], 8))

    children = [
        node_process.fork(profile, _node(profile, source), send, report_write),
        node_process.fork(profile, _node(profile, target), receive, report_write),
    ]
    for end in (read_end, write_end, report_write):
        os.close(end)
    failed = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0 for child in children]
    with open(report_read, "rb") as report:
        why = report.read().decode()
    if any(failed):
        raise CommandError(f"cannot copy {source.path}: {why or 'killed'}", reason="NODE_COPY")


def _node(profile: Profile, place: Place) -> Node | None:
    if not place.node:
        return None
    found = nodes.find(profile, place.node)
    node_process.check_up(profile, found)
    return found


def _path(target: str, name: str) -> Path:
    path = Path(target)
    return path / name if path.is_dir() or target.endswith("/") else path


def _store(pipe: BinaryIO, path: Path, mode: int) -> None:
    """Whole or not at all; with folders, as minikube makes them. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    try:
        with new.open("w+b") as file:
            os.fchmod(file.fileno(), mode)
            shutil.copyfileobj(pipe, file)
            file.flush()
            size = file.tell()
            if size == 0 or os.pread(file.fileno(), 1, size - 1) != b"\0":
                raise OSError(errno.EIO, "the file was not sent whole", str(path))
            file.truncate(size - 1)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
