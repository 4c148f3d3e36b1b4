"""A command of commands (`tiphys node list`): help, the command's module, and its errors told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module

from tiphys.cli.output import CommandError, report, wants_json
from tiphys.cluster.told import told


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
    # Further exceptions that are a user's to read, and the id of each.
    errors: Mapping[type[Exception], str] = field(default_factory=dict)

    def run(self, profile: str, arguments: Sequence[str]) -> int:
        """The exit code: the command's own, 2 for one that there is not."""
        if not arguments or arguments[0] in ("-h", "--help", "help"):
            print(self.usage())
            return 0
        name, rest = self.aliases.get(arguments[0], arguments[0]), list(arguments[1:])
        as_json = wants_json(rest)
        if name not in self.commands:
            unknown = f'unknown command "{name}" for "tiphys {self.name}"'
            fix = f"Run 'tiphys {self.name} --help' for usage."
            return report(CommandError(unknown, fix=fix, reason="USAGE"), as_json=as_json)
        module = import_module(f"{self.package}.{name}")
        try:
            code: int = module.run(profile, rest)
        except BrokenPipeError:
            raise  # The reader has gone: nothing is wrong.
        except tuple(self.errors) as exc:
            reason = next(r for kind, r in self.errors.items() if isinstance(exc, kind))
            error = CommandError(f"cannot {name} {self.what}: {exc}", reason=reason)
            return report(error, as_json=as_json)
        except (CommandError, OSError, RuntimeError) as exc:
            return report(told(exc, f"{name} {self.what}"), as_json=as_json)
        return code

    def usage(self) -> str:
        width = max(len(name) for name in self.commands) + 2
        lines = [f"  {name:{width}}{text}" for name, text in self.commands.items()]
        about = f"{self.about}\n\n" if self.about else ""
        head = f"{about}Usage: tiphys {self.name} COMMAND [ARGUMENTS]"
        return "\n".join([head, "", "Commands:", *lines])
