"""The file of --token-auth-file. Upstream: tokenfile_test.go."""

import logging
from pathlib import Path

import pytest

from tiphys.apiserver.filters.static_tokens import read

FILE = """\
token1,user1,uid1
token2,user2,uid2
token3,user3,uid3,"group1,group2"

token4,"user, four",uid4,group2
token5,user5,uid5,group5,otherdata
token6,,
token7,user7,uid7,
,nobody,uid8
token1,again,uid9
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tokens.csv"


@pytest.mark.parametrize(
    ("token", "wanted"),
    [
        pytest.param("token2", ("user2", "uid2", ()), id="no-groups"),
        pytest.param("token3", ("user3", "uid3", ("group1", "group2")), id="groups"),
        pytest.param("token4", ("user, four", "uid4", ("group2",)), id="quoted"),
        pytest.param("token5", ("user5", "uid5", ("group5",)), id="more-columns"),
        pytest.param("token6", ("", "", ()), id="empty-columns-are-columns"),
        pytest.param("token7", ("user7", "uid7", ("",)), id="an-empty-group"),
        pytest.param("token1", ("again", "uid9", ()), id="the-last-of-a-name"),
    ],
)
def test_users_of_tokens(path: Path, token: str, wanted: tuple[str, str, tuple[str, ...]]) -> None:
    path.write_text(FILE)
    user = read(path).user_of(token)
    assert user is not None
    assert (user.name, user.uid, user.groups[:-1]) == wanted
    assert user.groups[-1] == "system:authenticated"


@pytest.mark.parametrize("token", ["", "token8", "token1 ", "\udcff"])
def test_tokens_that_are_nobodys(path: Path, token: str) -> None:
    path.write_text(FILE)
    assert read(path).user_of(token) is None


def test_what_is_odd_is_told(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.write_text(FILE)
    with caplog.at_level(logging.WARNING):
        read(path)
    told = [(r.getMessage(), r.__dict__["record"]) for r in caplog.records]
    assert told == [("empty token in the token file", 8), ("duplicate token in the token file", 9)]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        pytest.param(
            b"token,user\n",
            "must have at least 3 columns (token, user name, user uid), found 2",
            id="two-columns",
        ),
        pytest.param(b'a,b,c\nx,y,"z', "line 2: unexpected end of data", id="an-open-quote"),
        pytest.param("a,b,c\nü,b,c\n".encode(), "record 2: the token is not ASCII", id="no-ascii"),
        pytest.param(b"a,b,\xff\n", "can't decode byte 0xff", id="no-utf-8"),
    ],
)
def test_files_that_are_none(path: Path, content: bytes, why: str) -> None:
    path.write_bytes(content)
    with pytest.raises(ValueError, match="token file") as refused:
        read(path)
    assert str(path) in str(refused.value)
    assert why in str(refused.value)
