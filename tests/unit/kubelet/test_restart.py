"""Whether and when containers run again."""

from typing import Any

import pytest

from tiphys.kubelet.restart import CrashBackOff, restarts_after, shown_seconds
from unit.kubelet.builders import a_container, a_pod

RULES = [{"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}]
NOT_IN = [{"action": "Restart", "exitCodes": {"operator": "NotIn", "values": [42]}}]


@pytest.mark.parametrize(
    ("policy", "container", "code", "wanted"),
    [
        ("Always", {}, 0, True),
        ("OnFailure", {}, 0, False),
        ("OnFailure", {}, 1, True),
        ("Never", {}, 1, False),
        ("Never", {"restartPolicy": "OnFailure"}, 1, True),
        ("Never", {"restartPolicy": "Never", "restartPolicyRules": RULES}, 42, True),
        ("Never", {"restartPolicy": "Never", "restartPolicyRules": RULES}, 1, False),
        ("Never", {"restartPolicy": "Never", "restartPolicyRules": NOT_IN}, 1, True),
    ],
)
def test_restarts_after(policy: str, container: dict[str, Any], code: int, wanted: bool) -> None:
    pod = a_pod(a_container(**container), policy=policy)
    assert restarts_after(pod, pod["spec"]["containers"][0], code) is wanted


def test_the_pause_doubles_from_ten_seconds_to_five_minutes() -> None:
    back_off = CrashBackOff()
    key = ("u", "c", "h")
    assert back_off.wait_seconds(key, 100, 100) == 0, "the first restart is at once"
    seen = []
    ended = 100.0
    for _ in range(7):
        back_off.next(key, ended)
        ended += 1  # It ran for a second.
        seen.append(back_off.wait_seconds(key, ended, ended))
        ended += seen[-1]
    assert seen == [10, 20, 40, 80, 160, 300, 300]


def test_a_container_that_ran_for_ten_minutes_begins_anew() -> None:
    back_off = CrashBackOff()
    key = ("u", "c", "h")
    back_off.next(key, 0)
    back_off.next(key, 20)
    assert back_off.wait_seconds(key, 25, 30) == 15
    assert back_off.wait_seconds(key, 700, 700) == 0
    back_off.next(key, 700)
    assert back_off.current_seconds(key) == 10


def test_forgetting_a_pod_drops_its_keys() -> None:
    back_off = CrashBackOff()
    back_off.next(("u", "c"), 0)
    back_off.forget("u")
    assert back_off.current_seconds(("u", "c")) == 0


@pytest.mark.parametrize(("seconds", "text"), [(10, "10s"), (80, "1m20s"), (300, "5m0s")])
def test_pauses_read_as_in_go(seconds: float, text: str) -> None:
    assert shown_seconds(seconds) == text
