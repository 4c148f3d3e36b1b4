"""The sockets of shims in the state directory: who is behind them, whatever the records say."""

import os
import socket
import struct
from collections.abc import Iterator

from tiphys.runtime.config import RuntimeConfig


def shims(config: RuntimeConfig) -> Iterator[tuple[str, int]]:
    """Socket path and pid of each shim; the pid is 0 when nobody listens any more."""
    directory = os.path.dirname(config.shim_socket("x"))
    for name in sorted(os.listdir(directory)) if os.path.isdir(directory) else ():
        yield os.path.join(directory, name), listener(os.path.join(directory, name))


def connect(path: str) -> socket.socket:
    """Connect to a unix socket; the path may be longer than the 107 bytes of an address.

    Raises: OSError.
    """
    directory, name = os.path.split(path)
    at = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.connect(f"/proc/self/fd/{at}/{name}")
    except OSError:
        sock.close()
        raise
    finally:
        os.close(at)
    return sock


def listener(path: str) -> int:
    """The pid that listens on a unix socket, 0 for nobody. Source: man 7 unix, SO_PEERCRED."""
    try:
        with connect(path) as sock:
            data = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    except OSError:
        return 0
    pid: int = struct.unpack("3i", data)[0]
    return pid
