"""`tiphys net doctor`: every check of the network; each finding with its cause and a fix to run.

Exit code: 0 when nothing was found, 1 for findings, 2 when a check could not be made.
"""

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from tiphys.cli.output import CommandError, table
from tiphys.cluster import processes
from tiphys.cluster.commands.stop import existing
from tiphys.cluster.netcheck import scene as scenes
from tiphys.cluster.netcheck.diagnosis import CHECKS, Check, diagnose
from tiphys.cluster.netcheck.finding import NetFinding
from tiphys.cluster.netcheck.scene import Scene
from tiphys.cluster.profile import Profile


def run(name: str, arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="tiphys net doctor", description="find what is wrong")
    parser.add_argument("--check", action="append", metavar="NAME", help="only this one; repeat")
    parser.add_argument("--list", action="store_true", help="name the checks")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
    options = parser.parse_args(arguments)
    if options.list:
        print(table(["CHECK", "LOOKS AT"], [[c.name, c.about] for c in CHECKS]))
        return 0
    checks = chosen(options.check)
    scene = observe(existing(name))
    findings, failed = diagnose(scene, checks)
    if options.output == "json":
        print(json.dumps(document(scene, checks, findings, failed), indent=2))
    else:
        print(text(scene, checks, findings, failed))
    return 2 if failed else int(bool(findings))


def chosen(names: Sequence[str] | None) -> list[Check]:
    """Raises CommandError naming the checks there are."""
    known = {check.name: check for check in CHECKS}
    for name in names or ():
        if name not in known:
            raise CommandError(
                f'there is no check "{name}"',
                fix=f"checks: {', '.join(known)}",
                reason="BAD_VALUE",
            )
    return [known[name] for name in names or known]


def observe(profile: Profile) -> Scene:
    """Raises CommandError where nothing can be looked at."""
    if os.geteuid() != 0:
        raise CommandError(
            "the network of others is seen by root only", fix="sudo", reason="NOT_ROOT"
        )
    if processes.supervisor(profile) is None:
        fix = f"tiphys start -p {profile.name}"
        raise CommandError(
            f'profile "{profile.name}" does not run', fix=fix, reason="CLUSTER_UNREACHABLE"
        )
    if not profile.nodes:
        raise CommandError(
            f'profile "{profile.name}" has no node on this machine',
            fix="look where its nodes are",
            reason="PROFILE_NO_NODES",
        )
    return scenes.observe(profile)


def document(
    scene: Scene,
    checks: Sequence[Check],
    findings: Sequence[NetFinding],
    failed: Mapping[str, str],
) -> dict[str, object]:
    """Pure."""
    return {
        "profile": scene.profile.name,
        "checks": [check.name for check in checks],
        "findings": [_entry(f) for f in findings],
        "failed": dict(failed),
        "notes": notes(scene),
    }


def _entry(finding: NetFinding) -> dict[str, object]:
    return asdict(finding) | {"touches": sorted(finding.touches)}


def text(
    scene: Scene,
    checks: Sequence[Check],
    findings: Sequence[NetFinding],
    failed: Mapping[str, str],
) -> str:
    """Pure."""
    rows = []
    for check in checks:
        own = [f for f in findings if f.check == check.name]
        word = (
            "could not look" if check.name in failed else "ok" if not own else f"{len(own)} found"
        )
        rows.append([check.name, word, failed.get(check.name, check.about)])
    lines = [table(["CHECK", "RESULT", "LOOKS AT"], rows)]
    for number, finding in enumerate(findings, 1):
        lines += ["", f"{number}. {finding.where}: {finding.what}", f"   cause: {finding.cause}"]
        lines += [f"   seen:  {effect}" for effect in finding.effects]
        lines.append(f"   fix:   {finding.fix}")
    lines += [f"\nNote: {note}" for note in notes(scene)]
    return "\n".join(lines)


def notes(scene: Scene) -> list[str]:
    """What could not be looked at from here. Pure."""
    found = []
    kinds = ("nodes", "services", "slices", "pods", "policies")
    missing = [kind for kind in kinds if getattr(scene.world, kind) is None]
    if missing:
        found.append(f"the API server did not tell: {', '.join(missing)}")
    if scene.elsewhere:
        names = ", ".join(name for name, _ in scene.elsewhere)
        found.append(
            f"{names}: other machines; settings, links, routes and rules are checked by "
            "`tiphys net doctor` there, packets to them from here"
        )
    return found
