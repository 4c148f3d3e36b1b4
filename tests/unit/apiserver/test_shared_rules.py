"""Rules that kinds share: conditions, interface addresses, TLS pairs, selectors of reviews."""

from pathlib import Path
from typing import Any

import pytest

from support.throwaway_pki import Authority
from tiphys.api.meta import Obj
from tiphys.apiserver.resources.core import tls_pair
from tiphys.apiserver.resources.rules.addresses import interface_address
from tiphys.apiserver.resources.rules.conditions import conditions
from tiphys.apiserver.verbs import review_selectors

CONDITION = {"type": "T", "status": "True", "reason": "R", "lastTransitionTime": "x"}


@pytest.mark.parametrize(
    ("changes", "paths"),
    [
        ({}, []),
        ({"type": ""}, ["type"]),
        ({"status": "yes"}, ["status"]),
        ({"observedGeneration": -1}, ["observedGeneration"]),
        ({"lastTransitionTime": None}, ["lastTransitionTime"]),
        ({"reason": ""}, ["reason"]),
        ({"reason": "1x"}, ["reason"]),
        ({"message": "x" * 32769}, ["message"]),
    ],
)
def test_conditions(changes: Obj, paths: list[str]) -> None:
    errors = conditions([CONDITION | changes], "p")
    assert [e.path for e in errors][: len(paths) or None] == [f"p[0].{path}" for path in paths]


def test_a_condition_is_there_once() -> None:
    assert [e.path for e in conditions([CONDITION] * 2, "p")] == ["p[1].type"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("10.9.8.7/24", ""),
        ("2001:db8::1/64", ""),
        ("10.9.8.7", "must be a valid address"),
        ("10.9.8.7/33", "must be a valid address"),
        ("010.9.8.7/24", 'must be in canonical form ("10.9.8.7/24")'),
        ("2001:DB8::1/64", 'must be in canonical form ("2001:db8::1/64")'),
    ],
)
def test_addresses_of_interfaces(text: str, why: str) -> None:
    found = [e.detail for e in interface_address(text, "p")]
    assert [f[: len(why)] for f in found] == ([why] if why else [])


def test_certificates_and_their_keys(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    (certificate, key), (_, other) = (
        [path.read_bytes() for path in authority.issue(name)] for name in ("a", "b")
    )
    assert tls_pair.problem(certificate, key) == ""
    for one, two, why in (
        (b"", key, "find any PEM data in certificate input"),
        (key, key, "certificate"),
        (certificate, b"", "find any PEM data in key input"),
        (certificate, certificate, "found a certificate rather than a key"),
        (certificate, other, "private key does not match public key"),
    ):
        assert why in tls_pair.problem(one, two)


def fields(*requirements: Obj, raw: str = "") -> Obj:
    return {"fieldSelector": {"rawSelector": raw, "requirements": list(requirements)}}


NODE = {"key": "spec.nodeName", "operator": "In", "values": ["n"]}


@pytest.mark.parametrize(
    ("attributes", "paths"),
    [
        ({}, []),
        (fields(NODE), []),
        (fields(raw="a=b"), []),
        (fields(), ["fieldSelector.requirements"]),
        (fields(NODE, raw="a=b"), ["fieldSelector.rawSelector"]),
        (fields(NODE | {"values": []}), ["fieldSelector.requirements[0].values"]),
        (fields(NODE | {"key": ""}), ["fieldSelector.requirements[0].key"]),
        (fields(NODE | {"operator": "Exists"}), ["fieldSelector.requirements[0].values"]),
    ],
)
def test_selectors_of_reviews(attributes: Obj, paths: list[str]) -> None:
    found = [e.path for e in review_selectors.validate(attributes)]
    assert found == [f"spec.resourceAttributes.{path}" for path in paths]


@pytest.mark.parametrize(
    ("attributes", "node", "errors"),
    [
        ({}, "", 0),
        (fields(NODE), "n", 0),
        (fields(raw="spec.nodeName=n"), "n", 0),
        (fields(raw="a"), "", 1),
        (fields(NODE, NODE | {"operator": "x"}), "n", 1),
        ({"labelSelector": {"rawSelector": "a in"}}, "", 1),
    ],
)
def test_what_is_understood_of_selectors(attributes: Any, node: str, errors: int) -> None:
    found = review_selectors.read(attributes)
    assert (found.node, len(found.errors)) == (node, errors)
