"""Labels of nodes that nobody should select by any more.

Upstream: pkg/api/node/util.go.
"""

from collections.abc import Iterator
from typing import Final

from tiphys.api import names
from tiphys.api.meta import Obj

DEPRECATED: Final = {
    "beta.kubernetes.io/arch": 'deprecated since v1.14; use "kubernetes.io/arch" instead',
    "beta.kubernetes.io/os": 'deprecated since v1.14; use "kubernetes.io/os" instead',
    "failure-domain.beta.kubernetes.io/region": (
        'deprecated since v1.17; use "topology.kubernetes.io/region" instead'
    ),
    "failure-domain.beta.kubernetes.io/zone": (
        'deprecated since v1.17; use "topology.kubernetes.io/zone" instead'
    ),
    "beta.kubernetes.io/instance-type": (
        'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead'
    ),
    "app.kubernetes.io/created-by": "deprecated since v1.9",
    "scheduler.alpha.kubernetes.io/preferAvoidPods": (
        "deprecated since v1.22; use Taints and Tolerations instead"
    ),
    "node-role.kubernetes.io/master": 'use "node-role.kubernetes.io/control-plane" instead',
}


def of_key(key: str, path: str) -> Iterator[str]:
    """Of a key in an expression or of a topology, which the text repeats."""
    if key in DEPRECATED:
        yield f"{path}: {key} is {DEPRECATED[key]}"


def of_term(term: Obj, path: str, *, with_values: bool = False) -> Iterator[str]:
    """Of a NodeSelectorTerm; `with_values`: also of values that no label can have."""
    for index, expression in enumerate(term.get("matchExpressions") or ()):
        where = f"{path}.matchExpressions[{index}]"
        yield from of_key(expression.get("key", ""), f"{where}.key")
        for at, value in enumerate(expression.get("values") or () if with_values else ()):
            for text in names.label_value(value):
                yield f"{where}.values[{at}]: {value} is invalid, {text}"


def of_label_selector(selector: Obj | None, path: str) -> Iterator[str]:
    selector = selector or {}
    for index, expression in enumerate(selector.get("matchExpressions") or ()):
        yield from of_key(expression.get("key", ""), f"{path}.matchExpressions[{index}].key")
    for key in sorted(selector.get("matchLabels") or ()):
        if key in DEPRECATED:
            yield f"{path}.matchLabels.{key}: {DEPRECATED[key]}"
