"""Rates of counters, and what directories take."""

from pathlib import Path

import pytest

from tiphys.kubelet.usage.rates import Rates
from tiphys.lib.disk_usage import disk_usage, filesystem


@pytest.mark.parametrize(
    ("looks", "rates"),
    [
        pytest.param([(0.0, 5)], [None], id="first"),
        pytest.param([(0.0, 5), (2.0, 9)], [None, 2], id="two"),
        pytest.param([(0.0, 5), (2.0, 9), (2.5, 99)], [None, 2, 2], id="too-soon"),
        pytest.param([(0.0, 5), (2.0, 3), (4.0, 7)], [None, None, 2], id="began-anew"),
    ],
)
def test_rates(looks: list[tuple[float, int]], rates: list[int | None]) -> None:
    counter = Rates()
    assert [counter.per_second("k", at, value) for at, value in looks] == rates


def test_disk_usage_follows_no_links(tmp_path: Path) -> None:
    inside = tmp_path / "a"
    (inside / "b").mkdir(parents=True)
    (inside / "b" / "file").write_bytes(b"x" * 8192)
    (tmp_path / "big").write_bytes(b"x" * 100_000)
    (inside / "link").symlink_to(tmp_path)
    found = disk_usage(inside)
    assert found.inodes_used == 3
    assert 8192 <= found.used_bytes < 100_000
    assert disk_usage(tmp_path / "missing") == (0, 0)


def test_a_filesystem_has_its_size(tmp_path: Path) -> None:
    found = filesystem(tmp_path)
    assert 0 < found["availableBytes"] <= found["capacityBytes"]
    assert filesystem(tmp_path / "missing") == {}
