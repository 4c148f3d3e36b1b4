"""Starts a zygote: a fresh, small interpreter executed from a read-only view of itself."""

import os
import socket
import sys
from dataclasses import dataclass
from typing import Final, NoReturn

from tiphys.runtime import syscalls

_TITLE_ROOM: Final = 160  # Bytes of the argument area that titles are written over.
_PROGRAM: Final = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from tiphys.runtime.zygote import main; "
    "main(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4].strip())"
)


@dataclass(frozen=True)
class Zygote:
    """A running zygote: where it listens, and the lifeline that ends it when closed."""

    pid: int
    socket_path: str
    lifeline: int

    def ended(self) -> bool:
        """Whether it has died; then it is reaped, and another may be started."""
        return os.waitpid(self.pid, os.WNOHANG)[0] != 0

    def close(self) -> None:
        os.close(self.lifeline)
        os.waitpid(self.pid, 0)


def start(socket_path: str, title: str) -> Zygote:
    """Fork and execute the zygote of one runtime. Raises: OSError."""
    listening = _listen(socket_path)
    reader, lifeline = os.pipe2(os.O_CLOEXEC)
    interpreter = read_only_view(os.path.realpath(sys.executable))
    pid = os.fork()
    if pid == 0:
        try:
            _execute(interpreter, listening.fileno(), reader, title)
        finally:
            os._exit(127)
    os.close(reader)
    os.close(interpreter)
    listening.close()
    return Zygote(pid, socket_path, lifeline)


def become(socket_path: str, title: str) -> NoReturn:
    """Make this process a zygote that several nodes share. Raises: OSError."""
    listening = _listen(socket_path)
    interpreter = read_only_view(os.path.realpath(sys.executable))
    _execute(interpreter, listening.fileno(), -1, title)


def _listen(socket_path: str) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    if os.path.lexists(socket_path):
        os.unlink(socket_path)
    directory, name = os.path.split(socket_path)
    at = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    listening.bind(f"/proc/self/fd/{at}/{name}")
    os.close(at)
    os.chmod(socket_path, 0o600)
    listening.listen(64)
    return listening


def _execute(interpreter: int, listening: int, lifeline: int, title: str) -> NoReturn:
    source = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    fds = (listening, lifeline)
    args = [sys.executable, "-I", "-S", "-B", "-c", _PROGRAM, source, *map(str, fds)]
    args.append(title.ljust(_TITLE_ROOM))
    for fd in fds:
        if fd >= 0:
            os.set_inheritable(fd, True)
    syscalls.execveat(interpreter, args, _environment())
    raise AssertionError("execveat returned")


def _environment() -> dict[str, str]:
    # An interpreter that finds its library beside itself ($ORIGIN) cannot: it has no place.
    return {"LC_ALL": "C.UTF-8", "LD_LIBRARY_PATH": os.path.join(sys.base_prefix, "lib")}


def read_only_view(path: str) -> int:
    """A descriptor of an executable that nobody can write through, not even by /proc/self/exe.

    A detached read-only mount of the file; on kernels before 5.12 a sealed copy in memory.
    """
    try:
        tree = syscalls.open_tree(path, syscalls.OPEN_TREE_CLONE)
        syscalls.mount_setattr(tree, set_flags=syscalls.MOUNT_ATTR_RDONLY, recursive=False)
    except OSError:
        return sealed_copy(path)
    return tree


def sealed_copy(path: str) -> int:
    import fcntl

    copy = os.memfd_create("tiphys", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
    with open(path, "rb") as file:
        while os.sendfile(copy, file.fileno(), None, 1 << 30):
            pass
    seals = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
    fcntl.fcntl(copy, fcntl.F_ADD_SEALS, seals)
    return copy
