"""Something that is wrong with the machine, and what to do about it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """fatal: the cluster would not work. fix: what to do."""

    what: str
    fix: str
    fatal: bool = True
