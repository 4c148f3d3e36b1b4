"""Priority: a pod's number from its class. Upstream: plugin/pkg/admission/priority/admission.go."""

from typing import Final

from tiphys.api.meta import Obj
from tiphys.apiserver.admission.chain import Resources, Write
from tiphys.apiserver.admission.refusal import refuse
from tiphys.storage.watch_cache import WatchCache

DEFAULT_PREEMPTION: Final = "PreemptLowerPriority"


class Priority:
    name = "Priority"
    resources: Resources = frozenset({("", "pods"), ("scheduling.k8s.io", "priorityclasses")})

    def __init__(self, classes: WatchCache) -> None:
        self._classes = classes
        self._default: tuple[int, Obj | None] = (-1, None)

    def mutate(self, write: Write) -> None:
        """Raises Forbidden for a class that is not there, or a number that is not its own."""
        pod = write.obj
        if pod is None or not write.is_("", "pods"):
            return
        spec = pod.setdefault("spec", {})
        if write.operation == "UPDATE":
            before = (write.old or {}).get("spec") or {}
            for field in ("priority", "preemptionPolicy"):
                if spec.get(field) is None and before.get(field) is not None:
                    spec[field] = before[field]
            return
        if write.operation != "CREATE":
            return
        name = spec.get("priorityClassName", "")
        found = self._named(write, name) if name else self._global_default()
        value = int(found["value"]) if found else 0
        policy = (found or {}).get("preemptionPolicy") or DEFAULT_PREEMPTION
        if found and not name:
            spec["priorityClassName"] = found["metadata"]["name"]
        given = spec.get("priority")
        if given is not None and given != value:
            raise refuse(
                write,
                f"the integer value of priority ({given}) must not be provided in pod spec;"
                f" priority admission controller computed {value} from the given PriorityClass"
                " name",
            )
        spec["priority"] = value
        given_policy = spec.get("preemptionPolicy")
        if given_policy is not None and given_policy != policy:
            raise refuse(
                write,
                f"the string value of PreemptionPolicy ({given_policy}) must not be provided in"
                f" pod spec; priority admission controller computed {policy} from the given"
                " PriorityClass name",
            )
        spec["preemptionPolicy"] = policy

    def _named(self, write: Write, name: str) -> Obj:
        cached = self._classes.get(self._classes.prefix + name)
        if cached is None:
            raise refuse(write, f"no PriorityClass with name {name} was found")
        return cached.decode(self._classes.head)

    def _global_default(self) -> Obj | None:
        """The class marked as default with the smallest value; read again when classes change."""
        if self._default[0] != self._classes.changed_at:
            classes = (c.decode(self._classes.head) for c in self._classes.objects.values())
            marked = sorted(
                (c for c in classes if c.get("globalDefault")), key=lambda c: c["value"]
            )
            self._default = (self._classes.changed_at, marked[0] if marked else None)
        return self._default[1]

    def validate(self, write: Write) -> None:
        """One default class at most is upstream's rule, checked where classes are written."""
        if not write.is_("scheduling.k8s.io", "priorityclasses") or write.obj is None:
            return
        if write.operation not in {"CREATE", "UPDATE"} or not write.obj.get("globalDefault"):
            return
        default = self._global_default()
        if default and default["metadata"]["name"] != write.obj["metadata"]["name"]:
            raise refuse(
                write,
                f"PriorityClass {default['metadata']['name']} is already marked as default. Only"
                " one default can exist",
            )
