"""Items of a list as one document: whole when small, in pieces of a known length when big."""

import json

import pytest

from tiphys.apiserver.responses import PIECE_BYTES, joined

START, END, HEAD = b'{"items":[', b"]}\n", b'{"kind":"A",'


@pytest.mark.parametrize(
    "sizes",
    [
        [],
        [1],
        [10, 20],
        [PIECE_BYTES],
        [PIECE_BYTES - 40, 1],
        [1, 2 * PIECE_BYTES, 1],
        [5000] * 100,
        [PIECE_BYTES, PIECE_BYTES],
    ],
)
@pytest.mark.parametrize("head", [b"{", HEAD])
def test_items(sizes: list[int], head: bytes) -> None:
    tails = [b'"n":%d,"x":"%b"}' % (n, b"x" * size) for n, size in enumerate(sizes)]
    body = joined(tails, START, END, head)
    pieces = [body] if isinstance(body, bytes) else list(body)
    whole = b"".join(pieces)
    assert [item["n"] for item in json.loads(whole)["items"]] == list(range(len(sizes)))
    if not isinstance(body, bytes):
        assert body.length == len(whole)
        biggest = max(PIECE_BYTES, *(len(tail) for tail in tails))
        assert max(map(len, pieces)) <= biggest + len(START) + len(head) + len(END) + 1
