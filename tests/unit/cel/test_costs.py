"""Costs: what is spent, what may be spent, and where it stops.

Numbers are upstream's: apiserver/pkg/cel/library/cost_test.go, cel-go checker/cost_test.go.
"""

import time
from typing import Any

import pytest

from tiphys.cel import types
from tiphys.cel.amounts import AMOUNT_MAX, Amount
from tiphys.cel.environment import base
from tiphys.cel.errors import CostLimitExceeded
from tiphys.cel.estimate import cost_of
from tiphys.cel.expression import compiled
from tiphys.cel.library.authorizer import AUTHORIZER
from tiphys.cel.schema_types import SchemaStructs, named, schema_type

SCHEMA = {
    "type": "object",
    "properties": {
        "n": {"type": "integer"},
        "s": {"type": "string"},
        "short": {"type": "string", "maxLength": 10},
        "choice": {"type": "string", "enum": ["a", "bcd"]},
        "few": {"type": "array", "maxItems": 10, "items": {"type": "string", "maxLength": 5}},
        "many": {"type": "array", "items": {"type": "integer"}},
        "map": {"type": "object", "maxProperties": 3, "additionalProperties": {"type": "string"}},
    },
}
REQUEST_BYTES = 3 * 1024 * 1024


def estimated(source: str) -> tuple[int, int]:
    own = schema_type(SCHEMA, is_root=False)
    assert own is not None
    own, known = named(own, "self")
    environment = base().with_structs(SchemaStructs(known))
    environment = environment.with_variables({"self": own.type, "authorizer": AUTHORIZER})
    return cost_of(compiled(source, environment).checked, own.size_at)


@pytest.mark.parametrize(("source", "low", "high"), [
    ("'ABCDEFGHIJ abcdefghij'.lowerAscii()", 3, 3),
    ("'ABCDEFGHIJ abcdefghij'.lowerAscii() == 'abcdefghij ABCDEFGHIJ'.lowerAscii()", 7, 9),
    ("url('https:://kubernetes.io/') == url('http://x.b')", 5, 5),
    ("sets.contains([1], [1, 1])", 23, 23),
    ("sets.equivalent([1, 1], [1])", 25, 25),
    ("authorizer.path('/healthz').check('get').allowed()", 350003, 350003),
    ("quantity('1Gi') == quantity('1Mi')", 3, 3),
    ("self.n > 1", 3, 3),
    ("has(self.s) && self.s == 'a'", 1, 4),
    ("self.short.startsWith('ab')", 3, 3),
    ("self.few.all(x, x.startsWith('a'))", 3, 53),
    ("self.choice.matches('^[a-z]+$')", 4, 4),
    ("self.many.all(x, x > 0)", 3, 3 + (REQUEST_BYTES - 2) // 2 * 5),
    ("self.many.all(x, self.many.all(y, self.many.all(z, x == y && y == z)))", 3, None),
])  # fmt: skip
def test_estimates(source: str, low: int, high: int | None) -> None:
    found = estimated(source)
    assert found[0] == low
    assert found[1] == high if high is not None else found[1] > 10**18


def test_amounts_stay_at_their_end() -> None:
    assert Amount(1, AMOUNT_MAX).plus(Amount(1, 1)) == (2, AMOUNT_MAX)
    assert Amount(0, AMOUNT_MAX).times(Amount(0, 7)) == (0, AMOUNT_MAX)
    assert Amount(3, AMOUNT_MAX).scaled(0.1) == (1, 1844674407370955264)


def spent(source: str, **values: Any) -> int:
    environment = base().with_variables(dict.fromkeys(values, types.DYN))
    outcome = compiled(source, environment).program.run(values)
    assert outcome.error is None
    return outcome.cost


@pytest.mark.parametrize(("source", "cost"), [
    ("x.a.b == 1", 4),
    ("has(x.a.b)", 2),
    ("'abcdefghijklmnopqrst'.contains('abc')", 2),
    ("[1, 2, 3].map(v, v * 2)", 1 + 10 + 3 * 14),
    ("[1, 2, 3].all(v, v > 0)", 1 + 3 * (2 + 1 + 2)),
    ("[1, 2, 3].exists(v, v == 1)", 1 + (3 + 1 + 2) + 3),
    ("lists.range(3)", 14),
    ("quantity('0123456789')", 1),
])  # fmt: skip
def test_what_is_spent(source: str, cost: int) -> None:
    assert spent(source, x={"a": {"b": 1}}) == cost


@pytest.mark.parametrize("source", [
    "x.all(a, x.all(b, x.all(c, a + b + c >= 0)))",
    "x.map(a, x.map(b, a * b)).flatten().distinct().size() > 0",
    "lists.range(100000000).size() > 0",
    "x.exists(a, x.exists(b, x.exists(c, a + b + c < 0)))",
    "t.matches('(a|b|ab)*c' + t)",
    "x.map(a, t + t).join('').contains(t + t + t)",
])  # fmt: skip
def test_what_costs_too_much_is_stopped_soon(source: str) -> None:
    environment = base().with_variables({"x": types.list_of(types.INT), "t": types.STRING})
    program = compiled(source, environment).program
    begun = time.process_time()
    outcome = program.run({"x": list(range(1000)), "t": "ab" * 50_000})
    assert isinstance(outcome.error, CostLimitExceeded)
    assert str(outcome.error) == "operation cancelled: actual cost limit exceeded"
    assert time.process_time() - begun < 5


def test_a_limit_is_no_error_that_a_logical_operator_may_ignore() -> None:
    environment = base().with_variables({"x": types.list_of(types.INT)})
    source = "x.all(a, x.all(b, x.all(c, true))) || true"
    outcome = compiled(source, environment).program.run({"x": list(range(1000))})
    assert isinstance(outcome.error, CostLimitExceeded)
