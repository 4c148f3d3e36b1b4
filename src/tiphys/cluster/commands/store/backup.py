"""`tiphys store backup FILE`: all objects as of one moment, in a file (see storage.snapshot)."""

from collections.abc import Sequence
from pathlib import Path

from tiphys.cli.arguments import Parser
from tiphys.cli.output import Steps
from tiphys.cluster.commands.stop import existing
from tiphys.cluster.commands.store.options import add_etcd, store_of
from tiphys.lib.clock import SystemClock
from tiphys.storage.snapshot import write_snapshot


def run(name: str, arguments: Sequence[str]) -> int:
    parser = Parser(prog="tiphys store backup", description="save all objects")
    parser.add_argument("file", type=Path)
    add_etcd(parser)
    options = parser.parse_args(arguments)
    steps = Steps(as_json=options.output == "json")
    clock = SystemClock()
    snapshot = store_of(existing(name), options).take(clock)
    write_snapshot(options.file, snapshot, clock.now())
    steps.done(
        f"Saved {len(snapshot.items)} keys at revision {snapshot.revision} to {options.file}",
        keys=len(snapshot.items),
        revision=snapshot.revision,
        file=str(options.file),
    )
    return 0
