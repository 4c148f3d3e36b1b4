"""Image names: `busybox`, `registry.k8s.io/pause:3.10`, `host:5000/a/b@sha256:...`.

Source: github.com/distribution/reference (grammar and the docker.io defaults).
"""

import re
from dataclasses import dataclass
from typing import Final

DEFAULT_HOST: Final = "docker.io"
DEFAULT_TAG: Final = "latest"
NAME_BYTES_MAX: Final = 255

_PATH: Final = re.compile(
    r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*"
)
_TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_HOST: Final = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])(?::[0-9]+)?"
)


@dataclass(frozen=True, slots=True)
class Reference:
    """A full name: `host` and `path` are always there, of `tag` and `digest` at least one."""

    host: str
    path: str
    tag: str = ""
    digest: str = ""

    @property
    def repository(self) -> str:
        return f"{self.host}/{self.path}"

    @property
    def wanted(self) -> str:
        """What a registry is asked for: the digest when there is one."""
        return self.digest or self.tag

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.repository}{tag}" + (f"@{self.digest}" if self.digest else "")


def parse(text: str) -> Reference:
    """The reference that text stands for, with the defaults filled in.

    Raises: ValueError with upstream's text "invalid reference format".
    """
    name, _, digest = text.partition("@")
    if digest and not _DIGEST.fullmatch(digest):
        raise ValueError(f"invalid reference format: bad digest in {text!r}")
    head, slash, rest = name.partition("/")
    if slash and ("." in head or ":" in head or head == "localhost"):
        host = head
    else:
        host, rest = DEFAULT_HOST, name
    path, _, tag = rest.partition(":")
    if host in ("docker.io", "index.docker.io"):
        host = DEFAULT_HOST
        path = path if "/" in path else f"library/{path}"
    if not _HOST.fullmatch(host) or not _PATH.fullmatch(path) or len(path) > NAME_BYTES_MAX:
        lower = " (repository name must be lowercase)" if path != path.lower() else ""
        raise ValueError(f"invalid reference format{lower}: {text!r}")
    if ":" in rest and not _TAG.fullmatch(tag):
        raise ValueError(f"invalid reference format: bad tag in {text!r}")
    return Reference(host, path, tag or ("" if digest else DEFAULT_TAG), digest)


def is_digest(text: str) -> bool:
    return _DIGEST.fullmatch(text) is not None
