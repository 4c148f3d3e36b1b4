"""What a user is told of an exception: the one place where foreign ones become ours.

Told last, by the command's own dispatcher, so that no command needs a list of them.
"""

import os

from tiphys.cli.output import CommandError

AGAIN = "run it again: it goes on where it ended"


_FOREIGN = {"ApiError", "Unreachable", "KubeconfigError", "NotReady"}


def is_foreseen(exc: Exception) -> bool:
    """Whether it is an error of the world, which a user can do something about; else it is a bug.

    Classes are told by name: none is imported.
    """
    return isinstance(exc, (CommandError, OSError, RuntimeError)) or bool(_kinds(exc) & _FOREIGN)


def _kinds(exc: Exception) -> set[str]:
    return {c.__name__ for c in type(exc).__mro__}


def told(exc: Exception, what: str = "") -> CommandError:
    """what: what was attempted, as in "stop dev"."""
    if isinstance(exc, CommandError):
        return exc
    kind = _kinds(exc)
    if "ApiError" in kind:
        return CommandError(f"the API server says: {exc}", reason="CLUSTER_REFUSED")
    if "Unreachable" in kind:
        return CommandError(str(exc), reason="CLUSTER_UNREACHABLE")
    if "KubeconfigError" in kind:
        return CommandError(str(exc), reason="KUBECONFIG_READ")
    if "NotReady" in kind:
        return CommandError(f"cannot {what}: {exc}", reason="CLUSTER_NOT_READY")
    if isinstance(exc, PermissionError) and os.geteuid() != 0:
        return CommandError(f"cannot {what}: {exc}", reason="NOT_ROOT", fix="run it with sudo")
    if isinstance(exc, OSError) and exc.filename:
        return CommandError(f"cannot {what}: {exc}", reason="FILE", fix=AGAIN)
    return CommandError(f"cannot {what}: {exc}", fix=AGAIN)
