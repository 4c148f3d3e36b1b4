"""How much an answer says in its warnings.

Upstream: apiserver pkg/endpoints/filters/warning.go.
"""

import re
from collections.abc import Iterable
from itertools import islice
from typing import Final

WARNINGS_MAX: Final = 4 * 1024  # Characters of all of an answer; upstream filters/warning.go.
WARNING_CUT: Final = 256  # Of each, where there are more.
CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")  # Nothing that upstream sends.


def within_bounds(texts: Iterable[str]) -> list[str]:
    """Those that an answer has room for, and one more: so that it knows of too many.

    No further text is asked for: where pairs are told of, there may be millions, or all alike.
    """
    found: dict[str, None] = {}
    room = WARNINGS_MAX
    for text in islice(texts, WARNINGS_MAX):  # None is shorter than a character.
        if text in found or CONTROL.search(text):
            continue
        found[text] = None
        room -= len(text[:WARNING_CUT])
        if room < 0:
            break
    return list(found)
