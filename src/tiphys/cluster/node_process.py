"""A child process inside a machine of a profile: its mounts, its network, its host name."""

import os
import sys
from collections.abc import Callable
from contextlib import suppress

from tiphys.cli.output import CommandError
from tiphys.cluster import node_network
from tiphys.cluster.profile import Node, Profile


def check_up(profile: Profile, node: Node) -> None:
    """Raises CommandError for a machine that cannot be entered."""
    if os.geteuid() != 0:
        raise CommandError("a machine is entered by root only", fix="sudo", reason="NOT_ROOT")
    if not node_network.is_up(profile, node):
        raise CommandError(
            f"node {node.name} is switched off",
            fix=f"tiphys node start {node.name} -p {profile.name}",
            reason="NODE_STOPPED",
        )


def fork(profile: Profile, node: Node | None, work: Callable[[], None], report: int) -> int:
    """The pid of a child that works in node, None: on this machine itself.

    What went wrong there is written to the pipe `report`; its exit code is then 1.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        if node is not None:
            node_network.enter(profile, node)
        work()
        code = 0
    except OSError as exc:
        with suppress(OSError):
            where = exc.filename or (node.name if node else "this machine")
            os.write(report, f"{exc.strerror}: {where}".encode())
    finally:
        os._exit(code)
