"""Switching load balancers on and off, kept in the profile over restarts.

Off: new Services stay <pending>; addresses that were given stay and are given back with their
Services, as upstream leaves a Service's status alone when its cloud goes.
"""

import signal
from dataclasses import replace
from typing import Final

from tiphys.cli.output import CommandError
from tiphys.cluster import processes
from tiphys.cluster.profile import Profile

_JOINED: Final = "this machine has joined a cluster: its load balancers are switched there"


def switch(profile: Profile, *, on: bool) -> None:
    """The supervisor starts the cloud's controllers anew. Raises CommandError, OSError."""
    if profile.is_joined:
        raise CommandError(
            _JOINED, fix="run it on the machine of the control plane", reason="PROFILE_JOINED"
        )
    replace(profile, load_balancer=on).save()
    chief = processes.supervisor(profile)
    if chief is not None:
        chief.identity.send(signal.SIGHUP)
