"""What the client knows of a request when its connection goes."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tiphys.lib.http.client_stream import HttpError
from tiphys.lib.http.http2_client import Asked, Session, Unprocessed

WRITE = Asked("POST", "/a", "h", {}, b"body")


class Transport:
    """Takes what is written until it closes."""

    def __init__(self) -> None:
        self.written = b""
        self.closing = False

    def write(self, data: bytes) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.closing

    def abort(self) -> None:
        self.closing = True


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(lambda session: session.connection_lost(None), id="closed"),
        pytest.param(lambda session: session.give_up(HttpError("silent")), id="given-up"),
    ],
)
def test_a_request_of_which_nothing_went_out_may_be_sent_again(
    end: Callable[[Session], None],
) -> None:
    async def story() -> None:
        transport: Any = Transport()
        session = Session()
        session.connection_made(transport)
        sent = session.send(WRITE, streaming=False)
        await asyncio.sleep(0)
        assert b"body" in transport.written
        transport.closing = True  # The peer has left, and nobody has told us yet.
        unsent = session.send(WRITE, streaming=False)
        await asyncio.sleep(0)
        end(session)
        assert isinstance(unsent.pending.error, Unprocessed)
        assert isinstance(sent.pending.error, HttpError)
        assert not isinstance(sent.pending.error, Unprocessed)

    asyncio.run(story())
