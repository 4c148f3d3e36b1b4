"""`tiphys net diff`: what another proxy mode or overlay would change. Changes nothing.

Exit code: 0 when nothing would change, 1 when something would, as diff(1) has it.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict

from tiphys.cli.output import CommandError, table
from tiphys.cluster.commands.net.doctor import observe
from tiphys.cluster.commands.stop import existing
from tiphys.cluster.netcheck.diff import overlay, proxy_mode
from tiphys.cluster.netcheck.diff.change import Change, counted
from tiphys.cluster.netcheck.scene import Scene
from tiphys.cluster.profile import Profile
from tiphys.network.plan import Overlay
from tiphys.proxy.config import MODES


def run(name: str, arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="tiphys net diff", description="what another mode would change; changes nothing"
    )
    parser.add_argument("--proxy-mode", choices=MODES)
    parser.add_argument("--overlay", choices=[str(o) for o in Overlay])
    parser.add_argument("--full", action="store_true", help="each rule, not only how many")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
    options = parser.parse_args(arguments)
    if not options.proxy_mode and not options.overlay:
        raise CommandError(
            "nothing to compare with",
            fix="use --proxy-mode MODE or --overlay MODE",
            reason="USAGE",
        )
    scene = observe(existing(name))
    if scene.world.services is None or scene.world.nodes is None:
        raise CommandError(
            "the API server does not tell",
            fix=f"tiphys status -p {name}",
            reason="CLUSTER_UNREACHABLE",
        )
    changes, connections = compare(scene, options.proxy_mode, options.overlay)
    command = how(scene.profile, options.proxy_mode, options.overlay)
    if options.output == "json":
        found = [asdict(c) for c in changes]
        document = {"changes": found, "connections": connections, "command": command}
        print(json.dumps(document, indent=2))
    else:
        print(text(changes, connections, command, full=options.full))
    return int(bool(changes))


def compare(
    scene: Scene, mode: str | None, wanted_overlay: str | None
) -> tuple[list[Change], list[str]]:
    """The changes, and what becomes of connections."""
    changes: list[Change] = []
    connections: list[str] = []
    if mode is not None:
        changes += proxy_mode.changes(scene, mode)
        connections += proxy_mode.connections(scene.profile.proxy_mode, mode)
    if wanted_overlay is not None:
        found = overlay.changes(scene, Overlay(wanted_overlay))
        changes += found
        connections += [proxy_mode.STOPPED] if found and not connections else []
    return changes, connections


def how(profile: Profile, mode: str | None, wanted_overlay: str | None) -> str:
    """The commands that make the change. Pure."""
    name = profile.name
    if wanted_overlay and profile.uses_host_network:
        # The machines agreed on the overlay when they joined.
        words = f"tiphys delete -p {name} && tiphys start -p {name} --listen {profile.listen}"
    else:
        words = f"tiphys stop -p {name} && tiphys start -p {name}"
    words += f" --proxy-mode {mode}" if mode else ""
    return words + (f" --overlay {wanted_overlay}" if wanted_overlay else "")


def text(changes: Sequence[Change], connections: Sequence[str], command: str, *, full: bool) -> str:
    """Pure."""
    if not changes:
        return "Nothing would change."
    many = frozenset({"rule", "element"}) if not full else frozenset()
    lines = [table(["NODE", "CHANGE", "WHAT"], _rows(changes, many)), "", "Connections:"]
    lines += [f"  {one}" for one in connections]
    return "\n".join([*lines, "", "Nothing was changed. To change it:", f"  {command}"])


def _rows(changes: Sequence[Change], many: frozenset[str]) -> list[list[str]]:
    rows = [
        [where, action, f"{count} {kind}{'s' if count > 1 else ''}"]
        for where, action, kind, count in counted(c for c in changes if c.kind in many)
    ]
    single = [[c.where, c.action, f"{c.kind} {c.what}"] for c in changes if c.kind not in many]
    return rows + single
