"""A table as `nft list table` prints it, as parts that can be compared. Pure.

Both sides are printed by the same nft: what was wanted is loaded into a namespace that nobody
uses, and listed there.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

_BLOCK: Final = re.compile(r"\s*(chain|map|set) (\S+) \{")
_ELEMENTS: Final = re.compile(r"elements = \{(.*?)\}", re.DOTALL)
DIFFERENCES_MAX: Final = 5  # Told one by one; of more only how many.


@dataclass(frozen=True, slots=True)
class Table:
    """Chains with their rules in order; sets and maps with their elements."""

    chains: dict[str, tuple[str, ...]] = field(default_factory=dict)
    sets: dict[str, frozenset[str]] = field(default_factory=dict)


def parse(listed: str, without: Iterable[str] = ()) -> Table:
    """without: sets whose elements are not compared, as packets make them."""
    chains: dict[str, tuple[str, ...]] = {}
    sets: dict[str, frozenset[str]] = {}
    skipped = set(without)
    for kind, name, body in _blocks(listed):
        if kind == "chain":
            chains[name] = tuple([line.strip() for line in body if line.strip()])
            continue
        found = _ELEMENTS.search("\n".join(body))
        text = found[1] if found and name not in skipped else ""
        sets[name] = frozenset(" ".join(e.split()) for e in text.split(",") if e.strip())
    return Table(chains, sets)


def _blocks(listed: str) -> Iterator[tuple[str, str, list[str]]]:
    kind, name, body = "", "", list[str]()
    for line in listed.splitlines():
        if head := _BLOCK.fullmatch(line):
            kind, name, body = head[1], head[2], []
        elif name and line == "\t}":
            yield kind, name, body
            name = ""
        elif name:
            body.append(line)


def differences(wanted: Table, seen: Table) -> list[str]:
    """What is missing and what nobody wanted, in words."""
    found = []
    for name, rules in wanted.chains.items():
        if name not in seen.chains:
            found.append(f"the chain {name} is missing")
            continue
        found += _compare(rules, seen.chains[name], f"the chain {name}", "rule")
    found += [f"the chain {n} is not ours" for n in seen.chains.keys() - wanted.chains.keys()]
    for name, elements in wanted.sets.items():
        if name not in seen.sets:
            found.append(f"the set {name} is missing")
            continue
        found += _compare(sorted(elements), sorted(seen.sets[name]), f"the set {name}", "element")
    return found


def _compare(wanted: Iterable[str], seen: Iterable[str], where: str, what: str) -> list[str]:
    left, right = list(wanted), list(seen)
    missing = [one for one in left if one not in right]
    strange = [one for one in right if one not in left]
    found = [f"{where} lacks the {what} `{one}`" for one in missing]
    found += [f"{where} has a {what} that is not ours: `{one}`" for one in strange]
    if not found and left != right:
        found.append(f"{where} has its {what}s in another order or number")
    return found


def told(found: list[str]) -> str:
    """In one sentence."""
    shown = found[:DIFFERENCES_MAX]
    more = len(found) - len(shown)
    return "; ".join([*shown, *([f"and {more} more differences"] if more else [])])
