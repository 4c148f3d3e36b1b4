"""`tiphys store migrate --to etcd|sqlite`: copy a stopped cluster's store into the other kind."""

from collections.abc import Sequence

from tiphys.cli.arguments import Parser
from tiphys.cli.output import CommandError, Steps
from tiphys.cluster.commands.stop import existing
from tiphys.cluster.commands.store.options import add_etcd, etcd_of, refuse_running
from tiphys.cluster.start_lock import start_lock
from tiphys.cluster.store_location import Etcd, Sqlite, sqlite_of
from tiphys.lib.clock import SystemClock


def run(name: str, arguments: Sequence[str]) -> int:
    parser = Parser(prog="tiphys store migrate", description="change the store")
    parser.add_argument("--to", choices=("etcd", "sqlite"), required=True)
    add_etcd(parser)
    options = parser.parse_args(arguments)
    steps = Steps(as_json=options.output == "json")
    profile = existing(name)
    etcd = etcd_of(options)
    if etcd is None:
        raise CommandError(
            "which etcd is not said",
            fix="give --etcd-servers https://HOST:2379",
            reason="STORE_WHICH",
        )
    clock = SystemClock()
    source: Etcd | Sqlite = sqlite_of(profile)
    target: Etcd | Sqlite = etcd
    if options.to == "sqlite":
        source, target = target, source
    with start_lock(steps.title):
        refuse_running(profile)
        snapshot = source.take(clock)
        steps.say(f"read {len(snapshot.items)} keys at revision {snapshot.revision}")
        done = target.load(snapshot, clock)
    steps.done(
        f"Migrated {len(snapshot.items)} keys: {done}",
        keys=len(snapshot.items),
        revision=snapshot.revision,
        to=options.to,
        profile=name,
    )
    return 0
