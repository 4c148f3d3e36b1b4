"""Whether a process of ours works, and how to make it work again. Facts from /proc, cause and fix
pure."""

from pathlib import Path

from tiphys.cluster.processes import Process

RUNNING, STOPPED, GONE = "running", "stopped", "gone"


def state(process: Process | None) -> str:
    """stopped: by a signal, as a debugger or `kill -STOP` leaves it."""
    if process is None or not process.is_alive:
        return GONE
    try:
        text = Path(f"/proc/{process.identity.pid}/stat").read_text()
    except OSError:
        return GONE
    return STOPPED if text.rsplit(")", 1)[1].split()[0] in "Tt" else RUNNING


def cause(process: Process | None, seen: str, otherwise: str) -> str:
    """Why a process did not do its work; otherwise: when it runs. Pure."""
    if process is None:
        return "the process that does it was never started"
    who = f"{process.title} (pid {process.identity.pid})"
    if seen == STOPPED:
        return f"{who} is stopped by a signal"
    return f"{who} does not run" if seen == GONE else otherwise


def fix(process: Process | None, seen: str, profile: str) -> str:
    """The supervisor starts again what was killed, and what starts does everything anew. Pure."""
    if process is None or seen == GONE:
        return f"tiphys start -p {profile}"
    return f"kill -KILL {process.identity.pid}"
