"""`tiphys metrics config [-d DIRECTORY]`: a Prometheus configuration for the profile.

Printed, or written with the alert rules into a directory that Prometheus can be started with.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tiphys.cli.arguments import Parser
from tiphys.cli.output import CommandError
from tiphys.cluster import profile as profiles
from tiphys.cluster.profile import Roots


def run(name: str, arguments: Sequence[str]) -> int:
    parser = Parser(prog="tiphys metrics", description="monitor the cluster")
    actions = parser.add_subparsers(dest="action", required=True, metavar="config")
    config = actions.add_parser("config", help="print a configuration for Prometheus")
    config.add_argument("-d", "--directory", type=Path, help="write it here, with the alert rules")
    options = parser.parse_args(arguments)
    return _config(name, options.directory)


def _config(name: str, directory: Path | None) -> int:
    from tiphys.cluster.monitoring import prometheus_config as config

    profile = profiles.load(Roots.from_environment(os.environ), name)
    if profile is None:
        raise CommandError(
            f'there is no profile "{name}"',
            fix=f"tiphys start -p {name}",
            reason="PROFILE_NOT_FOUND",
        )
    if directory is None:
        sys.stdout.write(config.config_text(profile, config.rules_path()))
        return 0
    directory = directory.absolute()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        rules = directory / config.RULES_FILE
        rules.write_text(config.rules_text())
        (directory / config.CONFIG_FILE).write_text(config.config_text(profile, rules))
    except OSError as exc:
        raise CommandError(
            f"cannot write {directory}: {exc.strerror}",
            fix="choose another directory with -d",
            reason="FILE",
        ) from exc
    print(f"prometheus --config.file={directory / config.CONFIG_FILE}")
    return 0
