"""`tiphys learn [PAGE ...]`: the guide, command by command, on a throw-away cluster.

Shows the text, runs each command when Enter is pressed, and says what it caused, from the events of
the components. The cluster is gone at the end, and when the walk is left before.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tiphys.__main__ import DEFAULT_PROFILE
from tiphys.cli.arguments import Parser
from tiphys.cli.output import CommandError, table
from tiphys.cluster import profile as profiles
from tiphys.cluster.learn.guide import pages
from tiphys.cluster.learn.likeness import is_like
from tiphys.cluster.learn.page import Command, File, Page, PageError, Text
from tiphys.cluster.learn.story import counts
from tiphys.cluster.learn.walk import Walk, environment, installed_kubectl
from tiphys.cluster.profile import Roots

PROFILE: Final = "learn"


class Left(Exception):
    """The reader has had enough."""


def run(profile: str, arguments: Sequence[str]) -> int:
    parser = Parser(prog="tiphys learn", description="learn Kubernetes by doing")
    parser.add_argument("pages", nargs="*", metavar="PAGE", help="only these (default: all)")
    parser.add_argument("--list", action="store_true", help="list the pages")
    parser.add_argument("-y", "--yes", action="store_true", help="do not wait for Enter")
    parser.add_argument("--keep", action="store_true", help="keep the cluster at the end")
    options = parser.parse_args(arguments)
    chosen = _chosen(options.pages)
    if options.list:
        print(table(["PAGE", "ABOUT"], [[p.name, p.title] for p in chosen]))
        return 0
    name = PROFILE if profile == DEFAULT_PROFILE else profile
    ask = not options.yes and sys.stdin.isatty()
    return _walk(name, chosen, ask=ask, keep=options.keep)


def _chosen(names: Sequence[str]) -> list[Page]:
    """Raises CommandError for a page that there is not, or that cannot be read."""
    try:
        found = {page.name: page for page in pages()}
    except PageError as exc:
        raise CommandError(str(exc), reason="LEARN_PAGE") from exc
    for name in names:
        if name not in found:
            raise CommandError(
                f'there is no page "{name}"', fix="see: tiphys learn --list", reason="LEARN_PAGE"
            )
    return [found[name] for name in names or found]


def _walk(profile: str, chosen: Sequence[Page], *, ask: bool, keep: bool) -> int:
    unlike = 0
    with _cluster(profile, keep=keep) as walk:
        try:
            for page in chosen:
                unlike += _show(walk, page, ask=ask)
        except (Left, KeyboardInterrupt, EOFError):
            print("\nLeft: the cluster of this walk goes too.")
            return 0
    if unlike:
        print(f"{unlike} outputs were not as in the guide; tell us: what came stands above.")
    return 1 if unlike else 0


@contextmanager
def _cluster(profile: str, *, keep: bool) -> Iterator[Walk]:
    """Raises CommandError when a profile of that name is there, or none can be started."""
    if profile in profiles.names(Roots.from_environment(os.environ)):
        fix = f"delete it: tiphys delete -p {profile}; or name another: tiphys learn -p NAME"
        raise CommandError(
            f'the profile "{profile}" is there already', fix=fix, reason="PROFILE_EXISTS"
        )
    with tempfile.TemporaryDirectory(prefix="tiphys-learn-") as folder:
        env = environment(Path(folder))
        os.environ.update(env)  # Our own requests too: the reader's kubeconfig stays as it is.
        work = Path(folder) / "work"
        work.mkdir()
        try:
            _tiphys(profile, "start", "--wait")
            yield Walk(profile, work, env, installed_kubectl())
        finally:
            if not keep:
                _tiphys(profile, "delete")


def _tiphys(profile: str, *words: str) -> None:
    done = subprocess.run([sys.executable, "-m", "tiphys", "-p", profile, *words], check=False)
    if done.returncode != 0:
        what = f"tiphys {' '.join(words)} -p {profile} failed"
        raise CommandError(what, code=done.returncode, reason="LEARN_STOPPED")


def _show(walk: Walk, page: Page, *, ask: bool) -> int:
    """How many outputs were not like the page's."""
    unlike = 0
    for part in page.parts:
        if isinstance(part, Text):
            print(f"\n{part.text}", flush=True)
        elif isinstance(part, File):
            walk.write(part)
            print(f"\nThe file {part.path}:\n\n{_indented(part.content)}", flush=True)
        else:
            unlike += not _do(walk, part, ask=ask)
    return unlike


def _do(walk: Walk, command: Command, *, ask: bool) -> bool:
    """Whether the output was like the page's."""
    print(f"\n  $ {command.line}", end="", flush=True)
    if ask and input("   [Enter: run it, q: leave] ").strip().lower().startswith("q"):
        raise Left
    known = counts(walk.events())
    output = walk.run(command)
    print(f"{'' if ask else chr(10)}{_indented(output)}", flush=True)
    if lines := walk.story(known) if not command.until else []:
        print("\n  What that caused:", flush=True)
        print("\n".join(f"    {line}" for line in lines), flush=True)
    return is_like(output, command.output)


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.rstrip().splitlines())
