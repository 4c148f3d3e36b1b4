"""The cluster's store as the receiver of a joined node's lines, with the node's own certificate."""

from collections.abc import Callable, Sequence
from typing import Final

from tiphys.client.rest import Http
from tiphys.lib.http.client import HttpError
from tiphys.logstore.outputs.record import OutputError, Record

NODE_PATH: Final = "/tiphys/v1/nodelines"
SEND_SECONDS_MAX: Final = 30.0
_SHOWN: Final = 200


class NodeOutput:
    """A batch that was taken and is sent again is known by its chunks: each line is there once."""

    def __init__(self, client: Http, body: Callable[[Sequence[Record]], bytes]) -> None:
        self._client = client
        self._body = body

    async def send(self, records: Sequence[Record]) -> None:
        """Raises OutputError."""
        try:
            answer = await self._client.request(
                "POST",
                NODE_PATH,
                headers={"Content-Type": "application/json"},
                body=self._body(records),
                timeout_seconds=SEND_SECONDS_MAX,
            )
        except (HttpError, OSError, TimeoutError) as exc:
            raise OutputError(str(exc)) from exc
        if answer.status != 204:
            text = answer.body[:_SHOWN].decode("utf-8", "replace").strip()
            raise OutputError(f"the cluster's log answers {answer.status}: {text}")

    def close(self) -> None:
        self._client.close()
