"""Loops that are started again after they failed."""

import asyncio
import logging

import pytest

from tiphys.lib.tasks import STEADY_SECONDS, keep_running


@pytest.mark.parametrize(
    ("third_ran_seconds", "delays"),
    [
        pytest.param(STEADY_SECONDS, [0.1, 0.2, 0.1], id="it-ran-well"),
        pytest.param(STEADY_SECONDS - 1, [0.1, 0.2, 0.4], id="too-short-to-say"),
    ],
)
def test_a_loop_that_ran_well_starts_its_back_off_anew(
    third_ran_seconds: float, delays: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    now, runs = 0.0, 0

    async def work() -> None:
        nonlocal now, runs
        runs += 1
        if runs == 4:
            return
        now += third_ran_seconds if runs == 3 else 1
        raise RuntimeError("it broke")

    with caplog.at_level(logging.ERROR):
        asyncio.run(keep_running("loop", work, lambda: now))
    assert [r.__dict__["in_seconds"] for r in caplog.records] == delays
