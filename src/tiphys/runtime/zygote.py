"""The process that forks shims: an interpreter that imported next to nothing, kept ready.

The runtime connects to its socket and sends one frame, the description of a sandbox. The zygote
forks twice, so that the shim has no parent in the supervisor's tree, and goes on; the shim
inherits the connection, and enters the node's namespaces where the zygote serves several nodes.
The zygote of one runtime ends when its lifeline, a pipe from the runtime, closes.

It is executed from a read-only view of the interpreter (see zygote_launch), it is not dumpable
and so are its children until they execute the container's program: from inside a container
nobody can write to the host's interpreter (CVE-2019-5736) or look into these processes.
"""

import gc
import json
import os
import resource
import select
import signal
import socket
from typing import Final

from tiphys.runtime import syscalls
from tiphys.runtime.cgroups.interface import Cgroups, detect
from tiphys.runtime.shim import frames
from tiphys.runtime.shim import main as shim

OPEN_FILES_MAX: Final = 1 << 20  # Docker's and containerd's limit for containers.
SANDBOX_SECONDS_MAX: Final = 10.0  # The frame comes at once or something is wrong.


def main(listening_fd: int, lifeline_fd: int, title: str) -> None:
    """Serve forks until the lifeline closes; for ever without one (-1)."""
    syscalls.prctl(syscalls.PR_SET_DUMPABLE, 0)
    syscalls.set_title(title)
    os.umask(0o022)
    _raise_open_files()
    listening = socket.socket(fileno=listening_fd)
    listening.setblocking(False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal is the supervisor's.
    # What every shim needs is made here: memory that a shim does not write to is shared.
    cgroups = detect()
    gc.collect()
    gc.freeze()
    gc.disable()
    poll = select.poll()
    poll.register(listening, select.POLLIN)
    if lifeline_fd >= 0:
        poll.register(lifeline_fd, select.POLLIN)
    while True:
        ready = {fd for fd, _ in poll.poll()}
        if lifeline_fd in ready:
            return
        try:
            connection, _ = listening.accept()
        except OSError:
            continue
        _fork_shim(connection, (listening, lifeline_fd), cgroups)


def _raise_open_files() -> None:
    """Containers get as many open files as the machine allows, as from other runtimes."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft = OPEN_FILES_MAX if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES_MAX)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _fork_shim(
    connection: socket.socket, not_for_shim: tuple[socket.socket, int], cgroups: Cgroups
) -> None:
    pid = os.fork()
    if pid:
        connection.close()
        os.waitpid(pid, 0)
        return
    try:
        os.setsid()
        if os.fork() == 0:
            not_for_shim[0].close()
            if not_for_shim[1] >= 0:
                os.close(not_for_shim[1])
            _be_shim(connection, cgroups)
    finally:
        os._exit(0)


def _be_shim(connection: socket.socket, cgroups: Cgroups) -> None:
    connection.settimeout(SANDBOX_SECONDS_MAX)
    header = _receive(connection, frames.HEADER.size)
    length, _ = frames.HEADER.unpack(header)
    sandbox = json.loads(_receive(connection, min(length, frames.FRAME_BYTES_MAX)))
    _enter(sandbox.pop("enter"))
    os.chdir("/")
    gc.enable()  # It sees only what the shim itself makes: all before is frozen.
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    for fd in (0, 1):
        os.dup2(null, fd)
    shim.run(connection, sandbox, cgroups)


def _enter(namespaces: list[tuple[str, int]]) -> None:
    """Into the node's namespaces. Their files are opened first: they lie outside."""
    opened = [(os.open(path, os.O_RDONLY | os.O_CLOEXEC), kind) for path, kind in namespaces]
    for fd, kind in opened:
        syscalls.setns(fd, kind)
        os.close(fd)


def _receive(connection: socket.socket, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        piece = connection.recv(count - len(data))
        if not piece:
            raise ConnectionError("the runtime went away")
        data += piece
    return bytes(data)
