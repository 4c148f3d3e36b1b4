"""Node selectors of affinities and volumes. Upstream: component-helpers nodeaffinity. Pure."""

from collections.abc import Sequence
from typing import Any, Final

from tiphys.api.labels import node_selector_matches
from tiphys.api.meta import Obj, labels_of, name_of

NODE_NAME_FIELD: Final = "metadata.name"


def matches_selector(selector: Obj, node: Obj) -> bool:
    """A NodeSelector: one of its terms holds."""
    return any(_term_matches(t, node) for t in selector.get("nodeSelectorTerms") or [])


def _term_matches(term: Obj, node: Obj) -> bool:
    """All expressions and fields; a term without either matches nothing."""
    expressions: Sequence[Any] = term.get("matchExpressions") or []
    fields: Sequence[Any] = term.get("matchFields") or []
    if not expressions and not fields:
        return False
    return node_selector_matches(expressions, labels_of(node)) and node_selector_matches(
        fields, {NODE_NAME_FIELD: name_of(node)}
    )
