"""What a profile runs, as its supervisor wrote it down, checked against the machine."""

import json
import signal
from dataclasses import dataclass
from typing import Final

from tiphys.cluster.profile import Profile
from tiphys.lib.process import ProcessIdentity

STOP_SECONDS_MAX: Final = 30.0


@dataclass(frozen=True, slots=True)
class Process:
    component: str
    node: str
    identity: ProcessIdentity
    title: str
    restarts: int

    @property
    def is_alive(self) -> bool:
        return self.identity.is_alive


def recorded(profile: Profile) -> list[Process]:
    """Everything in the supervisor's list, dead or alive."""
    path = profile.run_directory / "processes.json"
    try:
        data = json.loads(path.read_text())
    except (OSError, ValueError):
        return []
    return [
        Process(
            entry["component"],
            entry["node"],
            ProcessIdentity(data["bootId"], int(entry["pid"]), int(entry["startTime"] or 0)),
            entry["title"],
            int(entry["restarts"]),
        )
        for entry in data["processes"]
    ]


def record_supervisor(profile: Profile, identity: ProcessIdentity) -> None:
    """Write down a supervisor that is about to begin: from now on stop and delete find it.

    It writes the list itself when it starts its first component.
    """
    entry = {
        "component": "supervisor",
        "node": "",
        "pid": identity.pid,
        "startTime": identity.start_time,
        "title": f"tiphys: supervisor [{profile.name}]",
        "restarts": 0,
    }
    document = {"bootId": identity.boot_id, "processes": [entry]}
    (profile.run_directory / "processes.json").write_text(json.dumps(document))


def supervisor(profile: Profile) -> Process | None:
    """The living supervisor."""
    return next((p for p in recorded(profile) if p.component == "supervisor" and p.is_alive), None)


def stop(profile: Profile) -> bool:
    """Stop the supervisor and with it everything in order; then what a dead supervisor left.

    Returns whether anything ran.
    """
    known = recorded(profile)
    ran = any(p.is_alive for p in known)
    chief = next((p for p in known if p.component == "supervisor"), None)
    if chief is not None and chief.is_alive:
        chief.identity.send(signal.SIGTERM)
        chief.identity.wait(STOP_SECONDS_MAX)
    for number in (signal.SIGTERM, signal.SIGKILL):
        alive = [p for p in [*known, *recorded(profile)] if p.is_alive]
        for process in alive:
            process.identity.send(number)
        for process in alive:
            process.identity.wait(2.0)
    return ran
