"""SchedulingGates: a pod with gates waits until the last one is removed.

Upstream: pkg/scheduler/framework/plugins/schedulinggates.
"""

from typing import Final

from tiphys.api.meta import Obj, at

NAME: Final = "SchedulingGates"


def pre_enqueue(pod: Obj) -> str | None:
    """Why the pod waits, or None."""
    gates = [str(g["name"]) for g in at(pod, "spec", "schedulingGates", default=[])]
    if not gates:
        return None
    return f"waiting for scheduling gates: [{' '.join(gates)}]"
