"""`tiphys doctor`: look for what is wrong with the machine and the cluster, and say what to do."""

import json
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from tiphys.cli.arguments import Parser
from tiphys.cluster import doctor
from tiphys.cluster import profile as profiles
from tiphys.cluster.finding import Finding
from tiphys.cluster.profile import ProfileError, Roots


def run(name: str, arguments: Sequence[str]) -> int:
    """0 when nothing fatal was found."""
    parser = Parser(prog="tiphys doctor", description="find what is wrong")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
    options = parser.parse_args(arguments)
    patient, damage = _patient(name)
    found = {"profile": damage} if damage else {}
    for check in doctor.applicable(patient):
        found[check.name] = list(check.look(patient))
    if options.output == "json":
        entries = [_entry(check_name, findings) for check_name, findings in found.items()]
        print(json.dumps(entries, indent=2))
    else:
        for check_name, findings in found.items():
            print(_text(check_name, findings))
        if not patient.is_root:
            print("Not root: checks that need it were left out", file=sys.stderr)
    return int(any(f.fatal for findings in found.values() for f in findings))


def _patient(name: str) -> tuple[doctor.Patient, list[Finding]]:
    roots = Roots.from_environment(os.environ)
    damage: list[Finding] = []
    try:
        profile = profiles.load(roots, profiles.check_name(name))
    except ProfileError as exc:
        profile = None
        damage = [Finding(str(exc), f"tiphys delete -p {name}")]
    now = datetime.now(UTC)  # noqa: TID251 - the command's own clock
    is_root = os.geteuid() == 0
    return doctor.Patient(name, roots, profile, os.environ, now, is_root), damage


def _word(findings: Sequence[Finding]) -> str:
    if not findings:
        return "ok"
    return "fail" if any(f.fatal for f in findings) else "warn"


def _text(check: str, findings: Sequence[Finding]) -> str:
    lines = [f"{_word(findings):5}{check}"]
    for finding in findings:
        lines += [f"       {finding.what}", f"         {finding.fix}"]
    return "\n".join(lines)


def _entry(check: str, findings: Sequence[Finding]) -> dict[str, object]:
    told = [{"what": f.what, "fix": f.fix, "fatal": f.fatal} for f in findings]
    return {"check": check, "result": _word(findings), "findings": told}
