"""The difference of two objects that ends the message of a refused update.

A unified diff, as the diff tool writes it, of both in the form of upstream's internal structs,
written as JSON with one blank per level.
Upstream: apimachinery pkg/util/diff (Diff), pmezard/go-difflib.
"""

import difflib
import json
from typing import Final

from tiphys.api.field_errors import go_escaped
from tiphys.api.go_form import go_form
from tiphys.api.meta import Obj

_CONTEXT_LINES: Final = 3
# Comparing takes 0.1 s for so many, in which the server does nothing else. A full pod has 1,000.
LINES_MAX: Final = 20_000


def go_diff(old: Obj, new: Obj, type_name: str) -> str:
    """The differing lines with what is around them; nothing for objects that are too long.

    type_name is that of both, as in the schema ("core.v1.PodSpec").
    """
    before, after = _lines(old, type_name), _lines(new, type_name)
    if len(before) + len(after) > LINES_MAX:
        return ""
    found = difflib.unified_diff(before, after, n=_CONTEXT_LINES)
    return "".join(list(found)[2:])  # Without the two lines that name files.


def _lines(obj: Obj, type_name: str) -> list[str]:
    text = json.dumps(go_form(obj, type_name), indent=1, ensure_ascii=False)
    return [f"{line}\n" for line in go_escaped(text).split("\n")]
