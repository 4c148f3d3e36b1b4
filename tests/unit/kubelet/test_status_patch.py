"""Patches of statuses."""

from tiphys.kubelet.status_patch import status_patch

POD = {"metadata": {"name": "p", "uid": "u1"}}


def test_equal_statuses_need_no_patch() -> None:
    old = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    new = {
        "phase": "Running",
        "conditions": [{"type": "Ready", "status": "True", "lastProbeTime": None}],
        "lastState": {},
    }
    assert status_patch(POD, old, new) is None


def test_others_conditions_are_left_alone_and_ours_are_ordered() -> None:
    old = {"conditions": [{"type": "x", "status": "True"}, {"type": "Ready", "status": "False"}]}
    new = {
        "conditions": [
            {"type": "x", "status": "True"},
            {"type": "Initialized", "status": "True"},
            {"type": "Ready", "status": "True"},
        ]
    }
    assert status_patch(POD, old, new) == {
        "metadata": {"uid": "u1"},
        "status": {
            "$setElementOrder/conditions": [
                {"type": "x"},
                {"type": "Initialized"},
                {"type": "Ready"},
            ],
            "conditions": [
                {"type": "Initialized", "status": "True"},
                {"type": "Ready", "status": "True"},
            ],
        },
    }


def test_what_is_gone_is_removed() -> None:
    old = {"reason": "x", "conditions": [{"type": "Ready", "status": "True", "reason": "r"}]}
    new: dict[str, object] = {"conditions": []}
    found = status_patch(POD, old, new)
    assert found is not None
    assert found["status"]["reason"] is None
    assert found["status"]["conditions"] == [{"$patch": "delete", "type": "Ready"}]


def test_addresses_replace_those_before() -> None:
    found = status_patch(POD, {}, {"podIPs": [{"ip": "10.0.0.1"}]})
    assert found is not None
    assert found["status"]["podIPs"] == [{"$patch": "replace"}, {"ip": "10.0.0.1"}]
