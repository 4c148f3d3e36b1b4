"""A client's certificate that is renewed in its file while the client runs."""

import logging
import ssl
from pathlib import Path

log = logging.getLogger(__name__)


class RenewedCertificate:
    """Notices that the files changed, and lets a context show the new certificate."""

    def __init__(self, context: ssl.SSLContext, cert_file: Path, key_file: Path) -> None:
        self._context = context
        self._cert_file = cert_file
        self._key_file = key_file
        self._seen = self._version()

    def refresh(self) -> bool:
        """Whether there was a new one: connections of before show the old one."""
        version = self._version()
        if version in (None, self._seen):
            return False
        try:
            self._context.load_cert_chain(self._cert_file, self._key_file)
        except (OSError, ssl.SSLError) as exc:
            log.warning("the new certificate is not usable", extra={"why": str(exc)})
            return False
        self._seen = version
        return True

    def _version(self) -> tuple[int, int] | None:
        try:
            found = self._cert_file.stat()
        except OSError:
            return None  # In the middle of being replaced: the next look tells.
        return found.st_ino, found.st_mtime_ns
