"""Which resolvers are real, and which answers are believed."""

from pathlib import Path

import pytest

from tiphys.dns.exchange import matches
from tiphys.dns.machine_resolvers import CHECK_SECONDS, MachineResolvers
from tiphys.lib.resolv_conf import real_resolvers


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        pytest.param(["nameserver 127.0.0.53\n"], (), id="a-stub-is-none"),
        pytest.param(["nameserver 127.0.0.53\n", "nameserver 9.9.9.9\n"], ("9.9.9.9",), id="next"),
        pytest.param(
            ["# x\nnameserver 1.1.1.1\nnameserver fe80::1%eth0\n"], ("1.1.1.1", "fe80::1"), id="two"
        ),
        pytest.param(["nameserver nonsense\n"], (), id="nonsense"),
    ],
)
def test_real_resolvers(texts: list[str], found: tuple[str, ...]) -> None:
    assert real_resolvers(texts) == found


def test_resolvers_follow_their_files(tmp_path: Path) -> None:
    """As a laptop changes networks: the file is written again, or replaced, or gone."""
    now = 0.0
    files = (tmp_path / "systemd", tmp_path / "etc")
    resolvers = MachineResolvers(files, lambda: now)
    files[1].write_text("nameserver 9.9.9.9\n")
    assert resolvers() == ("9.9.9.9",)
    files[1].write_text("nameserver 8.8.8.8\n# longer\n")
    assert resolvers() == ("9.9.9.9",), "not looked at for every query"
    now += CHECK_SECONDS
    assert resolvers() == ("8.8.8.8",)
    new = tmp_path / "new"
    new.write_text("nameserver 1.1.1.1\n")
    new.replace(files[0])
    now += CHECK_SECONDS
    assert resolvers() == ("1.1.1.1",)
    files[0].unlink()
    files[1].unlink()
    now += CHECK_SECONDS
    assert resolvers() == ()


QUERY = b"\0\7\1\0\0\1\0\0\0\0\0\0\1a\0\0\1\0\1"
ANSWER = b"\0\7\x81\x80\0\1\0\0\0\0\0\0\1A\0\0\1\0\1"


@pytest.mark.parametrize(
    ("answer", "believed"),
    [
        pytest.param(ANSWER, True, id="same-question"),
        pytest.param(b"\0\x08" + ANSWER[2:], False, id="other-id"),
        pytest.param(ANSWER.replace(b"\1A", b"\1b"), False, id="other-name"),
        pytest.param(ANSWER[:-3] + b"\x1c\0\1", False, id="other-type"),
        pytest.param(QUERY, False, id="not-an-answer"),
    ],
)
def test_only_a_matching_answer_is_believed(answer: bytes, believed: bool) -> None:
    assert matches(QUERY, answer) is believed
