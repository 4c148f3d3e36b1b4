"""`tiphys mount SOURCE:TARGET`: a directory of this machine on a node, while the command runs.

minikube carries files over 9p; here a bind mount in the node's own mounts does it: pods that name
TARGET as hostPath and begin later see SOURCE. The node's child that made the mount takes it away
when this command ends, however it ends.
"""

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from tiphys.cli.arguments import Parser
from tiphys.cli.output import CommandError
from tiphys.cluster import node_process, nodes
from tiphys.cluster.commands.stop import existing
from tiphys.cluster.profile import Node, Profile
from tiphys.lib import mount_namespace
from tiphys.lib.process import ProcessIdentity, start_time


def run(name: str, arguments: Sequence[str]) -> int:
    parser = Parser(prog="tiphys mount", description="show a directory of this machine to a node")
    parser.add_argument("directories", nargs="?", metavar="SOURCE:TARGET")
    parser.add_argument("-n", "--node", default="", help="default: every node")
    parser.add_argument("--read-only", action="store_true")
    parser.add_argument("--kill", action="store_true", help="end the mounts of other commands")
    options = parser.parse_args(arguments)
    profile = existing(name)
    if options.kill:
        return _kill(profile)
    source, target = split(options.directories or "")
    chosen = [nodes.find(profile, options.node)] if options.node else profile.running_nodes
    for node in chosen:
        node_process.check_up(profile, node)
    _hold(profile, chosen, source, target, read_only=options.read_only)
    return 0


def split(text: str) -> tuple[Path, Path]:
    """Raises CommandError."""
    source, colon, target = text.rpartition(":")
    if not colon or not source or not target.startswith("/"):
        raise CommandError(
            f'"{text}" is not SOURCE:TARGET',
            fix="such as tiphys mount ./data:/data; TARGET is absolute",
            reason="BAD_VALUE",
        )
    if not Path(source).is_dir():
        raise CommandError(f"there is no directory {source}", reason="NODE_MOUNT")
    return Path(source).absolute(), Path(target)


def _hold(
    profile: Profile, chosen: Sequence[Node], source: Path, target: Path, *, read_only: bool
) -> None:
    """Until SIGINT or SIGTERM. Raises CommandError."""
    report_read, report_write = os.pipe()
    alive_read, alive_write = os.pipe()

    def work() -> None:
        os.close(alive_write)
        for number in (signal.SIGINT, signal.SIGTERM):  # The terminal's ^Z and ^C are the parent's.
            signal.signal(number, signal.SIG_IGN)
        _mounted(source, target, report_write, alive_read, read_only=read_only)

    children = [node_process.fork(profile, node, work, report_write) for node in chosen]
    os.close(report_write)
    os.close(alive_read)
    record = _record(profile)
    try:
        said = b""
        while len(said) < len(children) and (piece := os.read(report_read, 4096)):
            said += piece
        if said != b"." * len(children):
            why = said.strip(b".").decode(errors="replace") or "killed"
            raise CommandError(f"cannot mount {source}: {why}", reason="NODE_MOUNT")
        record.parent.mkdir(exist_ok=True)
        record.write_text(str(start_time(os.getpid())))
        print(f"Mounted {source} on {', '.join(n.name for n in chosen)} at {target}", flush=True)
        print("NOTE: the mount ends with this command", file=sys.stderr)
        _wait()
    finally:
        os.close(alive_write)
        for child in children:
            os.waitpid(child, 0)
        record.unlink(missing_ok=True)


def _mounted(source: Path, target: Path, report: int, alive: int, *, read_only: bool) -> None:
    """In the node: mount, say so, wait for the parent's end, take everything away again."""
    made = _make(target)
    try:
        mount_namespace.bind(source, target, read_only=read_only)
        os.write(report, b".")
        os.close(report)
        os.read(alive, 1)
        mount_namespace.release(target)
    finally:
        for directory in made:
            directory.rmdir()


def _make(target: Path) -> list[Path]:
    """Directories that were missing, the deepest first."""
    missing = [p for p in (target, *target.parents) if not p.exists()]
    for directory in reversed(missing):
        directory.mkdir()
    return missing


def _wait() -> None:
    def ended(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, ended)
    try:
        signal.pause()
    except KeyboardInterrupt:
        print("Unmounting ...", file=sys.stderr)


def _record(profile: Profile) -> Path:
    return profile.run_directory / "mounts" / str(os.getpid())


def _kill(profile: Profile) -> int:
    ended = 0
    for path in sorted((profile.run_directory / "mounts").glob("[0-9]*")):
        found = ProcessIdentity.of(int(path.name))
        if found is not None and str(found.start_time) == path.read_text():
            found.send(signal.SIGTERM)
            ended += 1
        else:
            path.unlink(missing_ok=True)
    print(f"Ended {ended} mounts")
    return 0
