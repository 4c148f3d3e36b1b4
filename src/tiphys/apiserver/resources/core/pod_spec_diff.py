"""The difference of two pod specs that ends the message of a refused update.

A unified diff, as the diff tool writes it, of both specs in the form of upstream's internal
structs, written as JSON with one blank per level.
Upstream: apimachinery pkg/util/diff (Diff), pmezard/go-difflib.
"""

import difflib
import json
from typing import Final

from tiphys.api.field_errors import go_escaped
from tiphys.api.go_form import go_form
from tiphys.api.meta import Obj

_CONTEXT_LINES: Final = 3
_POD_SPEC: Final = "core.v1.PodSpec"
# Comparing takes 0.1 s for so many, in which the server does nothing else. A full pod has 1,000.
LINES_MAX: Final = 20_000


def pod_spec_diff(old: Obj, new: Obj, given: Obj) -> str:
    """The differing lines with what is around them; nothing for specs that are too long.

    given is the new spec as it came, empty lists included.
    """
    before, after = _lines(old, {}), _lines(new, given)
    if len(before) + len(after) > LINES_MAX:
        return ""
    found = difflib.unified_diff(before, after, n=_CONTEXT_LINES)
    return "".join(list(found)[2:])  # Without the two lines that name files.


def _lines(spec: Obj, given: Obj) -> list[str]:
    text = json.dumps(go_form(spec, _POD_SPEC, given=given), indent=1, ensure_ascii=False)
    return [f"{line}\n" for line in go_escaped(text).split("\n")]
