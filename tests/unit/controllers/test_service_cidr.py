"""Which addresses keep a ServiceCIDR."""

from typing import Any

import pytest

from tiphys.api.meta import Obj
from tiphys.controllers.service_cidr import needed_by


def a_cidr(*cidrs: str, **metadata: Any) -> Obj:
    return {"metadata": metadata, "spec": {"cidrs": list(cidrs)}}


GOING = a_cidr("10.1.0.0/24", "fd00::/112")


@pytest.mark.parametrize(
    ("others", "addresses", "needed"),
    [
        pytest.param([], ["10.2.0.1"], [], id="outside"),
        pytest.param([], ["10.1.0.1", "fd00::5"], ["10.1.0.1", "fd00::5"], id="inside"),
        pytest.param([a_cidr("10.1.0.0/28")], ["10.1.0.1", "10.1.0.99"], ["10.1.0.99"], id="other"),
        pytest.param(
            [a_cidr("10.1.0.0/16", deletionTimestamp="t")],
            ["10.1.0.1"],
            ["10.1.0.1"],
            id="ends-too",
        ),
    ],
)
def test_addresses_that_need_it(others: list[Obj], addresses: list[str], needed: list[str]) -> None:
    assert needed_by(GOING, others, addresses) == needed
