"""Users by tokens that a file lists: `token,user,uid,"group1,group2"`, read once at the start.

Tokens are kept and looked up by their digest: how long a look takes says nothing of a token.
Upstream: apiserver pkg/authentication/token/tokenfile (--token-auth-file).
"""

import csv
import hashlib
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from tiphys.apiserver.user import ALL_AUTHENTICATED, User

log = logging.getLogger(__name__)

COLUMNS_MIN: Final = 3
FILE_BYTES_MAX: Final = 16 << 20  # Ours: a hundred thousand users.


class StaticTokens:
    def __init__(self, users: dict[bytes, User]) -> None:
        self._users = users

    def user_of(self, token: str) -> User | None:
        return self._users.get(_digest(token))


def read(path: Path) -> StaticTokens:
    """Raises ValueError for a file that is no such table, OSError for one that is not there."""
    if path.stat().st_size > FILE_BYTES_MAX:
        raise ValueError(f"token file '{path}' is larger than {FILE_BYTES_MAX} bytes")
    with path.open(newline="", encoding="utf-8") as lines:
        return StaticTokens(_users(lines, path))


def _users(lines: Iterable[str], path: Path) -> dict[bytes, User]:
    users: dict[bytes, User] = {}
    reader = csv.reader(lines, strict=True)
    try:
        for number, record in enumerate(filter(None, reader), start=1):
            if len(record) < COLUMNS_MIN:
                raise ValueError(
                    f"token file '{path}' must have at least 3 columns (token, user name, user"
                    f" uid), found {len(record)}"
                )
            token, name, uid, *more = record
            if not token:
                log.warning("empty token in the token file", extra=_where(path, number))
                continue
            if not token.isascii():  # Headers are: it would be nobody's.
                raise ValueError(f"token file '{path}': record {number}: the token is not ASCII")
            if _digest(token) in users:
                log.warning("duplicate token in the token file", extra=_where(path, number))
            groups = more[0].split(",") if more else []
            users[_digest(token)] = User(name, (*groups, ALL_AUTHENTICATED), uid)
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"token file '{path}': line {reader.line_num}: {error}") from None
    return users


def _where(path: Path, number: int) -> dict[str, object]:
    return {"path": path, "record": number}


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
