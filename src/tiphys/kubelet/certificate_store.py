"""A certificate with its key in one file, which always has the same name.

    STEM-current.pem -> STEM-2026-01-31-12-00-00.pem

Upstream: client-go util/certificate/certificate_store.go.
"""

import os
import tempfile
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography import x509

CLIENT: Final = "kubelet-client"
SERVER: Final = "kubelet-server"


def current(directory: Path, stem: str) -> Path:
    return directory / f"{stem}-current.pem"


def load(directory: Path, stem: str) -> x509.Certificate | None:
    """The certificate there is; None when there is none that can be read."""
    try:
        return x509.load_pem_x509_certificate(current(directory, stem).read_bytes())
    except (OSError, ValueError):
        return None


def save(directory: Path, stem: str, pem: bytes, now: datetime) -> None:
    """Replace it: a reader sees the old pair or the new one, never a mixture. Raises OSError."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    link = current(directory, stem)
    before = link.resolve() if link.is_symlink() else None
    file = directory / f"{stem}-{now:%Y-%m-%d-%H-%M-%S}.pem"
    _write(file, pem)
    temporary = directory / f".{stem}-new"
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(file.name)
    temporary.replace(link)
    if before is not None and before != file.resolve():
        with suppress(OSError):
            before.unlink()


def _write(path: Path, data: bytes) -> None:
    fd, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}")  # mode 0600
    with os.fdopen(fd, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    Path(temporary).replace(path)
