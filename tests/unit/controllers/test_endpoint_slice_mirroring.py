"""What slices mirror of Endpoints that a user wrote."""

from typing import Any

import pytest

from tiphys.api.meta import Obj
from tiphys.controllers import endpoint_slice_mirroring as mirroring
from tiphys.controllers.managed_slices import Plan

HTTP = {"port": 8080, "protocol": "TCP"}


def an_endpoints(*subsets: Obj, **metadata: Any) -> Obj:
    described = {"name": "web", "namespace": "default", "uid": "u"} | metadata
    return {"metadata": described, "subsets": list(subsets)}


@pytest.mark.parametrize(
    ("endpoints", "slices"),
    [
        pytest.param(an_endpoints(), [], id="nothing"),
        pytest.param(
            an_endpoints(
                {
                    "addresses": [{"ip": "10.8.0.1", "hostname": "h"}],
                    "notReadyAddresses": [{"ip": "10.8.0.3"}],
                    "ports": [HTTP],
                }
            ),
            [
                (
                    "IPv4",
                    [
                        {
                            "addresses": ["10.8.0.1"],
                            "conditions": {"ready": True},
                            "hostname": "h",
                        },
                        {"addresses": ["10.8.0.3"], "conditions": {"ready": False}},
                    ],
                    [{"name": ""} | HTTP],
                )
            ],
            id="ready-and-not",
        ),
        pytest.param(
            an_endpoints({"addresses": [{"ip": "10.8.0.1"}, {"ip": "fd00::1"}], "ports": [HTTP]}),
            [
                (
                    "IPv4",
                    [{"addresses": ["10.8.0.1"], "conditions": {"ready": True}}],
                    [{"name": ""} | HTTP],
                ),
                (
                    "IPv6",
                    [{"addresses": ["fd00::1"], "conditions": {"ready": True}}],
                    [{"name": ""} | HTTP],
                ),
            ],
            id="a-slice-per-family",
        ),
    ],
)
def test_slices(endpoints: Obj, slices: list[tuple[str, list[Obj], list[Obj]]]) -> None:
    made = mirroring.plan(endpoints, []).create
    assert [(s["addressType"], s["endpoints"], s["ports"]) for s in made] == slices


def test_a_second_look_writes_nothing_and_a_change_is_an_update() -> None:
    first = an_endpoints(
        {"addresses": [{"ip": "10.8.0.1"}], "ports": [HTTP]}, annotations={"a": "b"}
    )
    (made,) = mirroring.plan(first, []).create
    assert made["metadata"]["annotations"] == {"a": "b"}
    assert mirroring.plan(first, [made]) == Plan((), (), ())
    second = an_endpoints({"addresses": [{"ip": "10.8.0.9"}], "ports": [HTTP]})
    changes = mirroring.plan(second, [made])
    assert (len(changes.create), len(changes.update), len(changes.delete)) == (0, 1, 0)
    assert mirroring.plan(an_endpoints(), [made]).delete == (made,)


@pytest.mark.parametrize(
    ("metadata", "mirrored"),
    [
        pytest.param({}, True, id="plain"),
        pytest.param({"labels": {mirroring.SKIP: "true"}}, False, id="opted-out"),
        pytest.param({"annotations": {mirroring.LEADER: "{}"}}, False, id="a-lock"),
    ],
)
def test_which_are_mirrored(metadata: Obj, mirrored: bool) -> None:
    assert mirroring.is_mirrored(an_endpoints(**metadata)) is mirrored
