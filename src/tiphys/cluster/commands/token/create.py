"""`tiphys token create`: a token, or the whole command with which a machine joins."""

import argparse
import json
import random
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from tiphys.api import bootstrap_token
from tiphys.cli.arguments import Parser
from tiphys.cli.output import CommandError
from tiphys.cluster import join_tokens
from tiphys.cluster.commands.token.main import SECRETS, open_cluster


def run(name: str, arguments: Sequence[str]) -> int:
    options = _parser().parse_args(arguments)
    now = datetime.now(UTC)  # noqa: TID251 - the command's own clock
    token = _token(options, now)
    profile, probe = open_cluster(name)
    if probe.get(f"{SECRETS}/{join_tokens.name_of(token.token_id)}") is not None:
        raise CommandError(
            f'a token with id "{token.token_id}" already exists',
            fix=f"tiphys token delete {token.token_id} -p {name}",
            reason="TOKEN_EXISTS",
        )
    probe.create(SECRETS, join_tokens.secret_of(token))
    pin = join_tokens.pin_of(Path(profile.pki / "ca.crt").read_bytes())
    command = join_tokens.join_command(profile.server, token.token, pin)
    if options.output == "json":
        print(json.dumps({"token": token.token, "caHash": pin, "command": command}))
    else:
        print(command if options.print_join_command else token.token)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="tiphys token create", description="make a token")
    parser.add_argument("token", nargs="?", default="", help="default: one that nobody can guess")
    parser.add_argument(
        "--ttl", default=join_tokens.TTL_DEFAULT, help="how long it is good (24h, 30m, 0 = ever)"
    )
    parser.add_argument("--description", default="", help="what it is for")
    parser.add_argument("--usages", default=",".join(bootstrap_token.USAGES))
    parser.add_argument("--groups", default=bootstrap_token.NODE_GROUP)
    parser.add_argument(
        "--print-join-command", action="store_true", help="print what to run on the other machine"
    )
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
    return parser


def _token(options: argparse.Namespace, now: datetime) -> join_tokens.Token:
    """Raises CommandError."""
    text = options.token or join_tokens.draw(random.SystemRandom())
    if bootstrap_token.split(text) is None:
        raise CommandError(
            f'"{text}" is not a token',
            fix="6 and 16 of a-z and 0-9, with a dot between them",
            reason="TOKEN_INVALID",
        )
    try:
        life = join_tokens.duration(options.ttl)
    except ValueError as exc:
        raise CommandError(f"--ttl: {exc}", reason="BAD_VALUE") from exc
    usages = tuple(u for u in options.usages.split(",") if u)
    if unknown := [u for u in usages if u not in bootstrap_token.USAGES]:
        known = ", ".join(bootstrap_token.USAGES)
        raise CommandError(
            f"--usages: no usage {unknown[0]}", fix=f"use some of {known}", reason="BAD_VALUE"
        )
    groups = tuple(g for g in options.groups.split(",") if g)
    if wrong := [g for g in groups if not bootstrap_token.is_group(g)]:
        raise CommandError(
            f"--groups: {wrong[0]} may not be given",
            fix="names begin with system:bootstrappers:",
            reason="BAD_VALUE",
        )
    ends = now + life if life else None
    return join_tokens.Token(text, ends, usages, options.description, groups)
