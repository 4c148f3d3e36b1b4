"""Which values the API servers of a profile encrypt: a configuration, kept beside the profile."""

from pathlib import Path
from typing import Final

from tiphys.cli.output import CommandError
from tiphys.cluster import kept_file
from tiphys.cluster.profile import Profile

NONE: Final = "none"
_FIX: Final = f"a file of kind EncryptionConfiguration, or {NONE}; docs/store.md shows one"


def read(word: str | None) -> bytes | None:
    """The file's text, checked; None for nothing said, empty for none. Raises CommandError."""
    if word is None:
        return None
    if word == NONE:
        return b""
    from tiphys.storage.encryption.configuration import EncryptionConfigError, load

    try:
        load(Path(word))
        return Path(word).read_bytes()
    except (EncryptionConfigError, OSError) as exc:
        raise CommandError(f"--encryption-config {exc}", fix=_FIX, reason="BAD_VALUE") from exc


def keep(profile: Profile, text: bytes | None) -> None:
    """Raises OSError."""
    kept_file.keep(profile, profile.encryption_config, text)


def check_unchanged(profile: Profile, text: bytes | None) -> None:
    """Of a profile that runs. Raises CommandError."""
    kept_file.check_unchanged(profile, profile.encryption_config, text, "encryption configuration")
