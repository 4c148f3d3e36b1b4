"""Expressions that choose devices. Costs are those of upstream's compile_test.go."""

import pytest

from tiphys.apiserver.resources.resource_k8s_io.device_rules import selectors
from tiphys.apiserver.resources.resource_k8s_io.device_selectors import most_cost

TENS = "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]"
DEEP = "".join(f"{TENS}.all(x{i}, " for i in range(7)) + "int('1'.find('[0-9]*')) < 100" + ")" * 7


def refused(expression: str) -> list[str]:
    found = selectors([{"cel": {"expression": expression}}], "spec.selectors")
    assert all(error.path == "spec.selectors[0].cel.expression" for error in found)
    return [error.detail for error in found]


@pytest.mark.parametrize(
    ("expression", "cost"),
    [
        ('"no-such-domain" in device.attributes', 3),
        ('device.driver == ""', 2),
        ('device.driver == "dra.example.com"', 4),
        ('device.attributes["dra.example.com"].name', 4),
        ('device.attributes["dra.example.com"]["name"]', 4),
        ('cel.bind(dra, device.attributes["dra.example.com"], dra.name)', 15),
        ('device.attributes["dra.example.com"].name > 0', 5),
        ('device.attributes["dra.example.com"].name == "fish"', 5),
        ('device.attributes["no-such-domain"].noSuchAttr.isGreaterThan(quantity("0"))', 6),
    ],
)
def test_selectors_of_devices_cost_what_upstream_says(expression: str, cost: int) -> None:
    assert refused(expression) == []
    assert most_cost(expression) == cost


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("1", "must evaluate to bool or the unknown type, not int"),
        ("dyn(true)", "must evaluate to bool or the unknown type, not dyn"),
        (DEEP, "too complex, exceeds cost limit"),
        (
            "device.nope",
            "compilation failed: ERROR: <input>:1:7: undefined field 'nope'\n"
            " | device.nope\n"
            " | ......^",
        ),
        (" " * (10 * 1024 + 1), "may not be more than 10240 bytes"),
    ],
)
def test_selectors_of_devices_that_are_refused(expression: str, told: str) -> None:
    assert refused(expression) == [told]
