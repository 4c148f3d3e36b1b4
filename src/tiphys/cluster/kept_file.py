"""Files that a start was given and that a profile keeps: what runs reads the copy."""

import os
import tempfile
from pathlib import Path

from tiphys.cli.output import CommandError
from tiphys.cluster.profile import Profile


def keep(profile: Profile, path: Path, text: bytes | None) -> None:
    """None: as it was; empty: no file. Atomic, for its owner only. Raises OSError."""
    if text is None:
        return
    if not text:
        path.unlink(missing_ok=True)
        return
    profile.directory.mkdir(parents=True, exist_ok=True, mode=0o711)
    fd, temporary = tempfile.mkstemp(dir=profile.directory, prefix=f".{path.stem}")
    with os.fdopen(fd, "wb") as file:
        file.write(text)
    Path(temporary).replace(path)


def check_unchanged(profile: Profile, path: Path, text: bytes | None, what: str) -> None:
    """Of a profile that runs. Raises CommandError."""
    if text is None:
        return
    have = path.read_bytes() if path.exists() else b""
    if text != have:
        raise CommandError(
            f'profile "{profile.name}" runs with another {what}',
            fix=f"stop it first: tiphys stop -p {profile.name}",
            reason="PROFILE_FIXED",
        )
