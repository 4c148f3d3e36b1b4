"""`tiphys logs outputs set FILE | show | clear`: who gets the lines of the cluster's log too."""

import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tiphys.cli.arguments import Parser
from tiphys.cli.output import CommandError, report
from tiphys.cluster.commands.stop import existing
from tiphys.cluster.profile import Profile, ProfileError
from tiphys.cluster.told import told
from tiphys.logstore.outputs.config import OutputsError, parse


def run(name: str, arguments: Sequence[str]) -> int:
    parser = Parser(prog="tiphys logs outputs", description="send the cluster's log to others too")
    actions = parser.add_subparsers(dest="action", required=True, metavar="set|show|clear")
    actions.add_parser("set", help="send lines to the outputs of a file").add_argument("file")
    actions.add_parser("show", help="print the outputs there are")
    actions.add_parser("clear", help="send lines to nobody")
    options = parser.parse_args(arguments)
    try:
        profile = existing(name)
        if options.action == "set":
            _set(profile, Path(options.file))
        elif options.action == "clear":
            profile.log_outputs.unlink(missing_ok=True)
            print("outputs: none")
        else:
            text = profile.log_outputs.read_text() if profile.log_outputs.exists() else ""
            sys.stdout.write(text or "outputs: []\n")
    except (CommandError, ProfileError, OSError) as exc:
        error = told(exc, "set the outputs")
        return report(error, as_json=False)
    return 0


def _set(profile: Profile, file: Path) -> None:
    """Takes effect within a second, without a restart. Raises CommandError, OSError."""
    if profile.is_joined:
        raise CommandError(
            "this machine has joined a cluster, whose log has the outputs", reason="PROFILE_JOINED"
        )
    data = file.read_bytes()
    try:
        outputs = parse(data)
    except OutputsError as exc:
        raise CommandError(
            f"{file}: {exc}", fix="docs/logging.md describes the file", reason="FILE"
        ) from exc
    fd, temporary = tempfile.mkstemp(dir=profile.directory, prefix=".outputs")
    with os.fdopen(fd, "wb") as written:
        written.write(data)
    Path(temporary).replace(profile.log_outputs)
    print(f"outputs: {', '.join(output.name for output in outputs) or 'none'}")
