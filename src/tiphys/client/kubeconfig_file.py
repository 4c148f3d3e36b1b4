"""Changing a kubeconfig file that others change too: locked, atomic, and its owner's.

Upstream: client-go tools/clientcmd/config.go (ModifyConfig, lockFile): FILE.lock, made exclusively.
"""

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

LOCK_SECONDS_MAX: Final = 5.0  # Upstream gives up at once; kubectl holds it for milliseconds.
_POLL_SECONDS: Final = 0.02


class Owner(NamedTuple):
    """To whom a file belongs."""

    uid: int
    gid: int


@contextmanager
def locked(path: Path, owner: Owner | None, seconds: float = LOCK_SECONDS_MAX) -> Iterator[None]:
    """Nobody else who takes the lock changes the file meanwhile. Raises OSError, TimeoutError."""
    make_directory(path.parent, owner)
    lock = path.with_name(path.name + ".lock")
    deadline = time.monotonic() + seconds
    while True:
        try:
            os.close(os.open(lock, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0))
            break
        except FileExistsError:
            if time.monotonic() >= deadline:
                raise TimeoutError(
                    f"it is locked: another program writes it, or one that died left {lock} "
                    "(remove it if nothing uses it)"
                ) from None
        time.sleep(_POLL_SECONDS)
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)


def write(path: Path, text: str, owner: Owner | None) -> None:
    """Atomic, mode 0600: a reader sees the old file or the new one. Raises OSError."""
    target = path.resolve()
    fd, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(fd, "w") as file:
            file.write(text)
            if owner is not None:
                os.fchown(fd, owner.uid, owner.gid)
            file.flush()
            os.fsync(fd)
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def make_directory(path: Path, owner: Owner | None) -> None:
    """With what is missing above it, all of it the owner's. Raises OSError."""
    for missing in reversed([p for p in (path, *path.parents) if not p.exists()]):
        missing.mkdir(mode=0o700, exist_ok=True)
        if owner is not None:
            os.chown(missing, owner.uid, owner.gid)


def owner_of(
    path: Path, environ: Mapping[str, str], home_of: Callable[[int], Path | None]
) -> Owner | None:
    """Who shall own a file that root writes; None when nobody but the writer can.

    Below the home of the user who called sudo it is that user's, also when root made it before, as
    minikube does (MaybeChownDirRecursiveToMinikubeUser); elsewhere it stays whose it was.
    """
    if os.geteuid() != 0:
        return None
    try:
        user = Owner(int(environ["SUDO_UID"]), int(environ["SUDO_GID"]))
    except (KeyError, ValueError):
        user = None
    home = home_of(user.uid) if user is not None else None
    if home is not None and path.resolve().is_relative_to(home.resolve()):
        return user
    try:
        found = path.stat()
    except OSError:
        return None
    return Owner(found.st_uid, found.st_gid)


def home_of(uid: int) -> Path | None:
    """The home directory of a user whom the machine knows."""
    import pwd

    try:
        return Path(pwd.getpwuid(uid).pw_dir)
    except KeyError:
        return None
