"""`tiphys net trace FROM TO`: each hop of a packet's way, and which one would fail.

Exit code: 0 when packets get through, 1 when some hop fails.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict

from tiphys.cli.output import CommandError, table
from tiphys.cluster.commands.net.doctor import observe
from tiphys.cluster.commands.stop import existing
from tiphys.cluster.netcheck.trace import ends
from tiphys.cluster.netcheck.trace.hop import Hop, first_failing
from tiphys.cluster.netcheck.trace.walk import walk

_EXAMPLES = """\
FROM: pod/NAME, NAMESPACE/POD, deploy/NAME, node/NAME
TO:   svc/NAME[.NAMESPACE][:PORT], pod/NAME[.NAMESPACE]:PORT, ADDRESS:PORT, NAME[:PORT], a URL
"""


def run(name: str, arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="tiphys net trace",
        description="the way of a packet, hop by hop",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("start", metavar="FROM")
    parser.add_argument("end", metavar="TO")
    parser.add_argument("-n", "--namespace", default="default")
    parser.add_argument("--udp", action="store_true", help="UDP instead of TCP; nothing is sent")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
    options = parser.parse_args(arguments)
    try:
        source = ends.source(options.start, options.namespace)
        protocol = "udp" if options.udp else "tcp"
        target = ends.target(options.end, options.namespace, protocol)
        hops = walk(observe(existing(name)), source, target)
    except ends.EndError as exc:
        raise CommandError(str(exc), reason="NET_END") from exc
    failing = first_failing(hops)
    if options.output == "json":
        print(json.dumps(document(hops), indent=2))
    else:
        print(text(hops))
    return int(failing is not None)


def document(hops: Sequence[Hop]) -> dict[str, object]:
    """Pure."""
    failing = first_failing(hops)
    return {
        "hops": [asdict(hop) for hop in hops],
        "fails": None if failing is None else asdict(failing),
    }


def text(hops: Sequence[Hop]) -> str:
    """Pure."""
    rows = [[h.name, h.where, "ok" if h.ok else "FAILS", h.way, h.what] for h in hops]
    lines = [table(["HOP", "WHERE", "RESULT", "WAY", "WHAT"], rows), ""]
    failing = first_failing(hops)
    if failing is None:
        lines.append("Packets get through.")
    else:
        lines.append(f"Fails at {failing.name} on {failing.where}: {failing.what}")
        if failing.fix:
            lines.append(f"  fix: {failing.fix}")
    return "\n".join(lines)
