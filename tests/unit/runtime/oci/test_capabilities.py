"""Capabilities that a container ends up with."""

import pytest

from tiphys.runtime.oci.capabilities import DEFAULT, NAMES, mask, resolve


@pytest.mark.parametrize(
    ("add", "drop", "privileged", "expected"),
    [
        pytest.param([], [], False, set(DEFAULT), id="default"),
        pytest.param(["NET_ADMIN"], [], False, DEFAULT | {"CAP_NET_ADMIN"}, id="add"),
        pytest.param(["cap_net_admin"], [], False, DEFAULT | {"CAP_NET_ADMIN"}, id="any-case"),
        pytest.param([], ["CHOWN"], False, DEFAULT - {"CAP_CHOWN"}, id="drop"),
        pytest.param([], ["ALL"], False, set(), id="drop-all"),
        pytest.param(["CHOWN"], ["ALL"], False, {"CAP_CHOWN"}, id="drop-all-but"),
        pytest.param(["ALL"], ["CHOWN"], False, set(NAMES) - {"CAP_CHOWN"}, id="all-but"),
        pytest.param([], ["ALL"], True, set(NAMES), id="privileged"),
    ],
)
def test_resolve(add: list[str], drop: list[str], privileged: bool, expected: set[str]) -> None:
    assert set(resolve(add, drop, privileged=privileged)) == expected


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match="CAP_NOPE"):
        resolve(["NOPE"], [], privileged=False)


def test_mask_of_the_default_set_is_dockers() -> None:
    assert mask(DEFAULT) == 0xA80425FB
    assert mask(NAMES, last=1) == 0b11
