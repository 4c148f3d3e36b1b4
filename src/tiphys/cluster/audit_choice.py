"""What the API servers of a profile note of requests: a policy, kept beside the profile."""

from pathlib import Path
from typing import Final

from tiphys.cli.output import CommandError
from tiphys.cluster import kept_file
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
    """Raises OSError."""
    kept_file.keep(profile, profile.audit_policy, text)


def check_unchanged(profile: Profile, text: bytes | None) -> None:
    """Of a profile that runs. Raises CommandError."""
    kept_file.check_unchanged(profile, profile.audit_policy, text, "audit policy")
