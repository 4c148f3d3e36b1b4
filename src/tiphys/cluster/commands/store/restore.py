"""`tiphys store restore FILE`: a stopped cluster holds what the file holds, nothing else.

Clients find themselves in the past: what they watched goes on with a new list (410), never with
revisions that once meant something else.
"""

from collections.abc import Sequence
from pathlib import Path

from tiphys.cli.arguments import Parser
from tiphys.cli.output import Steps
from tiphys.cluster.commands.stop import existing
from tiphys.cluster.commands.store.options import add_etcd, refuse_running, store_of
from tiphys.cluster.start_lock import start_lock
from tiphys.cluster.store_location import Sqlite
from tiphys.lib.clock import SystemClock
from tiphys.storage.snapshot import read_snapshot


def run(name: str, arguments: Sequence[str]) -> int:
    parser = Parser(prog="tiphys store restore", description="go back to a backup")
    parser.add_argument("file", type=Path)
    add_etcd(parser)
    options = parser.parse_args(arguments)
    steps = Steps(as_json=options.output == "json")
    profile = existing(name)
    store = store_of(profile, options)
    snapshot = read_snapshot(options.file)
    with start_lock(steps.title):
        if isinstance(store, Sqlite):
            refuse_running(profile)
        done = store.load(snapshot, SystemClock())
    text = f"Restored {len(snapshot.items)} keys of revision {snapshot.revision}: {done}"
    steps.done(text, keys=len(snapshot.items), revision=snapshot.revision, profile=name)
    return 0
