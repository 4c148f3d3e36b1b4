"""A command of commands (`tiphys node list`): help, the command's module, and its errors told."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module

from tiphys.cli.output import CommandError, report
from tiphys.cluster.commands.stop import as_command_error
from tiphys.cluster.profile import ProfileError


@dataclass(frozen=True, slots=True)
class Group:
    """package holds one module per command, with `run(profile, arguments) -> int`.

    commands: each with its line of help. what: names them in errors, as in "cannot stop the node".
    """

    name: str
    package: str
    what: str
    commands: Mapping[str, str]
    aliases: Mapping[str, str] = field(default_factory=dict)
    about: str = ""
    errors: tuple[type[Exception], ...] = ()  # Further ones that are a user's to read.

    def run(self, profile: str, arguments: Sequence[str]) -> int:
        """The exit code: the command's own, 2 for one that there is not."""
        if not arguments or arguments[0] in ("-h", "--help", "help"):
            print(self.usage())
            return 0
        name, rest = self.aliases.get(arguments[0], arguments[0]), list(arguments[1:])
        if name not in self.commands:
            print(f'Error: unknown command "{name}" for "tiphys {self.name}"', file=sys.stderr)
            print(f"Run 'tiphys {self.name} --help' for usage.", file=sys.stderr)
            return 2
        module = import_module(f"{self.package}.{name}")
        try:
            code: int = module.run(profile, rest)
        except BrokenPipeError:
            raise  # The reader has gone: nothing is wrong.
        except self.errors as exc:
            error = CommandError(f"cannot {name} {self.what}: {exc}")
            return report(error, as_json="json" in rest)
        except (CommandError, ProfileError, OSError, RuntimeError) as exc:
            return report(as_command_error(exc, f"{name} {self.what}"), as_json="json" in rest)
        return code

    def usage(self) -> str:
        width = max(len(name) for name in self.commands) + 2
        lines = [f"  {name:{width}}{text}" for name, text in self.commands.items()]
        about = f"{self.about}\n\n" if self.about else ""
        head = f"{about}Usage: tiphys {self.name} COMMAND [ARGUMENTS]"
        return "\n".join([head, "", "Commands:", *lines])
