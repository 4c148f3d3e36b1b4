"""What can come next on a `tiphys` command line; the shells' scripts ask for it at every TAB.

As cobra does: the scripts are a few lines that call `tiphys __complete WORDS...`. Commands come
from the tables that also run them, flags from what each command's --help says.
"""

import io
import os
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from importlib import import_module
from typing import Any, Final

from tiphys.cluster import profile as profiles
from tiphys.cluster.profile import ProfileError, Roots

SHELLS: Final = ("bash", "zsh", "fish")
_FLAG: Final = re.compile(r"(?<![\w-])(--?[a-zA-Z][\w-]*)")
_PROFILE_FLAGS: Final = ("-p", "--profile")
_NODE_FLAGS: Final = ("-n", "--node")
# Commands whose next word is a machine, a profile, an addon.
_NODES: Final = ("node delete", "node start", "node stop", "node drain", "node shell", "ip")
_PROFILES: Final = ("profile use", "profile")

Commands = Mapping[str, tuple[str, str]]


def candidates(commands: Commands, words: Sequence[str], profile: str) -> list[str]:
    """words: after `tiphys`, the last one being written. Sorted, with what was written so far."""
    *before, last = words or [""]
    found = _found(commands, before, last, profile)
    return sorted({one for one in found if one.startswith(last)})


def _found(commands: Commands, before: Sequence[str], last: str, profile: str) -> Sequence[str]:
    if before and before[-1] in _PROFILE_FLAGS:
        return _profiles()
    plain = [word for word in _without_profile(before) if not word.startswith("-")]
    if not plain:
        return ["--profile", "--version", "--help"] if last.startswith("-") else list(commands)
    if plain[0] not in commands:
        return []
    module = import_module(commands[plain[0]][0])
    group: Mapping[str, Any] = getattr(module, "COMMANDS", {})
    if group is commands:
        group = {}
    path = plain[:2] if group and len(plain) > 1 else plain[:1]
    if last.startswith("-"):
        return _flags(module.run, path[1:])
    if before[-1] in _NODE_FLAGS and path[0] in ("ssh", "mount"):
        return _nodes(profile)
    return [*(group if len(plain) == 1 else ()), *_names(path, plain[len(path) :], profile)]


def _without_profile(words: Sequence[str]) -> list[str]:
    found, skip = [], False
    for word in words:
        if not skip and word not in _PROFILE_FLAGS:
            found.append(word)
        skip = not skip and word in _PROFILE_FLAGS
    return found


def _names(path: Sequence[str], said: Sequence[str], profile: str) -> list[str]:
    command = " ".join(path)
    if said:
        return []
    if command in _NODES:
        return _nodes(profile)
    if command in _PROFILES:
        return _profiles()
    if command in ("addons", "completion", "config set", "config get", "config unset"):
        return _fixed(command)
    return []


def _fixed(command: str) -> list[str]:
    if command == "completion":
        return list(SHELLS)
    if command == "addons":
        return ["list", "enable", "disable", "open", "images"]
    from tiphys.cluster.settings import SETTINGS

    return list(SETTINGS)


def _profiles() -> list[str]:
    return profiles.names(Roots.from_environment(os.environ))


def _nodes(profile: str) -> list[str]:
    with suppress(ProfileError):
        found = profiles.load(Roots.from_environment(os.environ), profile)
        return [node.name for node in found.nodes] if found else []
    return []


def _flags(run: Callable[[str, Sequence[str]], int], path: Sequence[str]) -> list[str]:
    """The long and short ones that the command's help names, and what every command has."""
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(io.StringIO()), suppress(SystemExit, Exception):
        run("none", [*path, "--help"])
    lines = [line for line in said.getvalue().splitlines() if line.lstrip().startswith("-")]
    return [*_PROFILE_FLAGS, *(flag for line in lines for flag in _FLAG.findall(_heads(line)))]


def _heads(line: str) -> str:
    """Of a line of help the part with the flags: two spaces separate it from the words."""
    return re.split(r"\S {2,}", line.strip())[0] + " "


BASH: Final = r"""# bash completion of tiphys: source <(tiphys completion bash)
_tiphys() {
  local IFS=$'\n'
  COMPREPLY=($("${COMP_WORDS[0]}" __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _tiphys tiphys
"""
ZSH: Final = r"""#compdef tiphys
# zsh completion of tiphys: source <(tiphys completion zsh)
_tiphys() {
  local -a found
  found=("${(@f)$("${words[1]}" __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
  compadd -a found
}
compdef _tiphys tiphys
"""
FISH: Final = r"""# fish completion of tiphys: tiphys completion fish | source
function __tiphys_complete
  set -l words (commandline -opc) (commandline -ct)
  $words[1] __complete $words[2..-1] 2>/dev/null
end
complete -c tiphys -f -a '(__tiphys_complete)'
"""
SCRIPTS: Final = {"bash": BASH, "zsh": ZSH, "fish": FISH}
