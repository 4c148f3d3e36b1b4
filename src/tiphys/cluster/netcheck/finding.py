"""Something that is wrong with a cluster's network: what, why, and a command that mends it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class NetFinding:
    """where: a node's name, or `host`. fix: a command line that can be run as it stands.

    touches: places whose packets suffer from it, `where` among them without being named.
    effects: what was seen only because of it.
    """

    check: str
    where: str
    what: str
    cause: str
    fix: str
    fatal: bool = True
    touches: frozenset[str] = frozenset()
    effects: tuple[str, ...] = ()

    @property
    def places(self) -> frozenset[str]:
        return self.touches | {self.where}


def explained(causes: Sequence[NetFinding], symptoms: Iterable[NetFinding]) -> list[NetFinding]:
    """All findings, a symptom that a cause at the same place explains told as its effect. Pure."""
    found = list(causes)
    for symptom in symptoms:
        for index, cause in enumerate(found[: len(causes)]):
            if cause.places & symptom.places:
                found[index] = replace(cause, effects=(*cause.effects, symptom.what))
                break
        else:
            found.append(symptom)
    return found
