"""An API server in a process of its own that a test may kill: `DIRECTORY PORT` as arguments.

Says the port on standard output once it serves; its files are those of `support.api_server`.
"""

import asyncio
import sys
from pathlib import Path

import uvloop

from support.api_server import start
from tiphys.lib.clock import SystemClock
from tiphys.storage.sqlite import SqliteBackend


async def serve(directory: Path, port: int) -> None:
    backend = await SqliteBackend.open(directory / "store.db", SystemClock())
    running, _ = await start(directory, backend, port)
    print(running.port, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(Path(sys.argv[1]), int(sys.argv[2])))
