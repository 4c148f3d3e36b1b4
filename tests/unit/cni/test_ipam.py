"""Pod addresses: never one twice, kept over restarts, freed ones rest."""

from ipaddress import IPv4Network
from pathlib import Path

import pytest

from tiphys.cni.ipam import AddressesExhausted, AddressPool

NETWORK = IPv4Network("10.244.0.0/29")


def test_addresses_are_unique_and_remembered(tmp_path: Path) -> None:
    pool = AddressPool(tmp_path, NETWORK)
    given = [pool.allocate(owner) for owner in ("a", "b", "c")]
    assert given == ["10.244.0.2", "10.244.0.3", "10.244.0.4"]
    again = AddressPool(tmp_path, NETWORK)
    assert again.allocate("b") == "10.244.0.3"
    assert again.allocate("d") == "10.244.0.5"


def test_a_freed_address_rests_until_the_others_were_given(tmp_path: Path) -> None:
    pool = AddressPool(tmp_path, NETWORK)
    pool.allocate("a")
    pool.release("a")
    assert pool.allocate("b") == "10.244.0.3"


def test_an_exhausted_range_says_so(tmp_path: Path) -> None:
    pool = AddressPool(tmp_path, NETWORK)
    for number in range(5):
        pool.allocate(str(number))
    with pytest.raises(AddressesExhausted, match=r"no free address in 10\.244\.0\.0/29"):
        pool.allocate("more")
    pool.release("2")
    assert pool.allocate("more") == "10.244.0.4"
