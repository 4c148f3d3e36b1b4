"""What the API servers of a profile note of requests: a policy, kept beside the profile."""

import os
import tempfile
from pathlib import Path
from typing import Final

from tiphys.cli.output import CommandError
from tiphys.cluster.profile import Profile

DEFAULT: Final = "default"
NONE: Final = "none"
_FIX: Final = f"a file, or {DEFAULT}, or {NONE}; docs/logging.md describes policies"


def read(word: str | None) -> bytes | None:
    """The policy's text, checked; None for nothing said, empty for none. Raises CommandError."""
    if word is None:
        return None
    if word == NONE:
        return b""
    from tiphys.apiserver.audit import policy

    path = policy.DEFAULT_POLICY if word == DEFAULT else Path(word)
    try:
        policy.load(path)
        return path.read_bytes()
    except (policy.PolicyError, OSError) as exc:
        raise CommandError(f"--audit-policy {exc}", fix=_FIX, reason="BAD_VALUE") from exc


def keep(profile: Profile, text: bytes | None) -> None:
    """Atomic. Raises OSError."""
    if text is None:
        return
    if not text:
        profile.audit_policy.unlink(missing_ok=True)
        return
    profile.directory.mkdir(parents=True, exist_ok=True, mode=0o711)
    fd, temporary = tempfile.mkstemp(dir=profile.directory, prefix=".audit")
    with os.fdopen(fd, "wb") as file:
        file.write(text)
    Path(temporary).replace(profile.audit_policy)


def check_unchanged(profile: Profile, text: bytes | None) -> None:
    """Of a profile that runs. Raises CommandError."""
    if text is None:
        return
    have = profile.audit_policy.read_bytes() if profile.audit_policy.exists() else b""
    if text != have:
        raise CommandError(
            f'profile "{profile.name}" runs with another audit policy',
            fix=f"stop it first: tiphys stop -p {profile.name}",
            reason="PROFILE_FIXED",
        )
