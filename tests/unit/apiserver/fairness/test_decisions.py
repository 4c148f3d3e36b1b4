"""Priority and fairness, the pure parts: matching, seats, hands, what is put right."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiphys.api.meta import Obj, condition
from tiphys.apiserver.fairness.bootstrap_objects import flow_schemas, priority_levels
from tiphys.apiserver.fairness.flow_schema import compile_schema, in_order
from tiphys.apiserver.fairness.priority_level import Bounds, bounds_of, compile_level, divide
from tiphys.apiserver.fairness.shuffle_sharding import flow_hash, hand_of
from tiphys.apiserver.fairness.upkeep import changes
from tiphys.apiserver.fairness.work_estimate import seats_of
from tiphys.apiserver.filters.authorization import Attributes
from tiphys.apiserver.user import User

NOW = datetime(2026, 1, 2, tzinfo=UTC)
EVERYBODY = ("system:authenticated",)
NODE = User("system:node:n1", ("system:nodes", *EVERYBODY))
CONTROLLERS = User("system:kube-controller-manager", EVERYBODY)
SYSTEM_ACCOUNT = User(
    "system:serviceaccount:kube-system:job-controller", ("system:serviceaccounts", *EVERYBODY)
)
ACCOUNT = User("system:serviceaccount:default:app", ("system:serviceaccounts", *EVERYBODY))
LEASE = Attributes("update", "coordination.k8s.io", "leases", namespace="n", name="x")
POD = Attributes("update", "", "pods", "status", namespace="n", name="x")
ENDPOINTS = Attributes("update", "", "endpoints", namespace="n", name="x")


@pytest.mark.parametrize(
    ("user", "asked", "schema", "flow"),
    [
        (User("root", ("system:masters", *EVERYBODY)), POD, "exempt", ""),
        (User("x", EVERYBODY), Attributes("get", path="/readyz"), "probes", ""),
        (User("x", EVERYBODY), Attributes("get", path="/readyz/etcd"), "global-default", "x"),
        (CONTROLLERS, LEASE, "system-leader-election", CONTROLLERS.name),
        (CONTROLLERS, ENDPOINTS, "endpoint-controller", CONTROLLERS.name),
        (CONTROLLERS, POD, "kube-controller-manager", "n"),
        (NODE, LEASE, "system-node-high", NODE.name),
        (NODE, Attributes("list", "", "nodes"), "system-node-high", NODE.name),
        (NODE, POD, "system-nodes", NODE.name),
        (SYSTEM_ACCOUNT, LEASE, "system-leader-election", SYSTEM_ACCOUNT.name),
        (SYSTEM_ACCOUNT, POD, "kube-system-service-accounts", "n"),
        (ACCOUNT, LEASE, "service-accounts", ACCOUNT.name),
        (User("jane", EVERYBODY), POD, "global-default", "jane"),
        (User("anonymous", ("system:unauthenticated",)), POD, "global-default", "anonymous"),
    ],
)
def test_the_first_schema_that_names_a_request(
    user: User, asked: Attributes, schema: str, flow: str
) -> None:
    for one in in_order(map(compile_schema, flow_schemas())):
        mine = one.of_user(user)
        if mine is not None and mine.names(asked):
            assert (mine.name, mine.flow_of(user, asked)) == (schema, flow)
            return
    raise AssertionError("no schema")


def rule(**fields: object) -> Obj:
    asked = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"]}
    return {
        "metadata": {"name": "x"},
        "spec": {
            "priorityLevelConfiguration": {"name": "y"},
            "rules": [
                {
                    "subjects": [{"kind": "User", "user": {"name": "*"}}],
                    "resourceRules": [asked | fields],
                    "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": ["/a/*", "/b"]}],
                }
            ],
        },
    }


@pytest.mark.parametrize(
    ("fields", "asked", "is_named"),
    [
        ({}, POD, True),
        ({"verbs": ["get"]}, POD, False),
        ({"apiGroups": ["apps"]}, POD, False),
        ({"resources": ["pods"]}, POD, False),
        ({"resources": ["pods/status"]}, POD, True),
        ({"namespaces": ["n"]}, POD, True),
        ({"namespaces": ["m"]}, POD, False),
        ({}, POD._replace(namespace=""), False),
        ({"clusterScope": True}, POD._replace(namespace=""), True),
        ({}, Attributes("get", path="/a/c"), True),
        ({}, Attributes("get", path="/a"), False),
        ({}, Attributes("get", path="/b"), True),
        ({}, Attributes("get", path="/b/c"), False),
        ({}, Attributes("post", path="/b"), False),
    ],
)
def test_what_a_rule_names(fields: Obj, asked: Attributes, is_named: bool) -> None:
    assert compile_schema(rule(**fields)).names(asked) is is_named


def test_nominal_seats_are_upstreams() -> None:
    levels = [compile_level(obj) for obj in priority_levels()]
    bounds = bounds_of([level for level in levels if not level.is_exempt], 600)
    assert bounds["workload-low"] == Bounds(245, 245 - round(245 * 0.9), 600)
    assert bounds["leader-election"] == Bounds(25, 25, 600)
    assert bounds["catch-all"].nominal == 13


@pytest.mark.parametrize(
    ("demand", "given"),
    [
        # Who needs nothing lends what it may; who needs much gets it, up to its most.
        ({"a": 100, "b": 0}, {"a": 80, "b": 20}),
        ({"a": 0, "b": 100}, {"a": 30, "b": 70}),
        ({"a": 50, "b": 50}, {"a": 50, "b": 50}),
        ({"a": 300, "b": 100}, {"a": 75, "b": 25}),
    ],
)
def test_seats_are_lent(demand: dict[str, int], given: dict[str, int]) -> None:
    bounds = {"a": Bounds(50, 30, 100), "b": Bounds(50, 20, 70)}
    assert divide(bounds, demand, 100) == given


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=3),
        st.tuples(st.integers(1, 100), st.integers(0, 100), st.integers(0, 2000)),
        min_size=1,
        max_size=8,
    )
)
def test_nobody_falls_below_what_is_kept(levels: dict[str, tuple[int, int, int]]) -> None:
    seats = sum(nominal for nominal, _, _ in levels.values())
    bounds = {
        name: Bounds(nominal, nominal * kept // 100, seats)
        for name, (nominal, kept, _) in levels.items()
    }
    found = divide(bounds, {name: demand for name, (_, _, demand) in levels.items()}, seats)
    assert all(max(bounds[n].least, 1) <= found[n] <= max(bounds[n].most, 1) for n in found)
    assert sum(found.values()) <= seats + len(levels)  # Each is rounded, and has one at least.


@given(st.integers(0, 2**64 - 1), st.integers(1, 200), st.integers(1, 10))
def test_hands_hold_different_queues(number: int, queues: int, size: int) -> None:
    hand = hand_of(number, queues, size)
    assert len(set(hand)) == len(hand) == min(size, queues)
    assert all(0 <= card < queues for card in hand)


def test_flows_seldom_share_a_whole_hand() -> None:
    hands = {frozenset(hand_of(flow_hash("s", f"user-{n}"), 128, 6)) for n in range(2000)}
    assert len(hands) == 2000


@pytest.mark.parametrize(
    ("verb", "objects", "level_seats", "seats"),
    [
        ("create", 10_000, 100, 1),
        ("list", 0, 100, 1),
        ("list", 101, 100, 2),
        ("list", 10_000, 100, 10),
        ("list", 10_000, 20, 3),
        ("list", 10_000, 1, 1),
    ],
)
def test_lists_need_seats_by_their_size(
    verb: str, objects: int, level_seats: int, seats: int
) -> None:
    assert seats_of(verb, objects, level_seats) == seats


def stored() -> tuple[dict[str, Obj], dict[str, Obj]]:
    """What a first run writes: flow schemas and levels."""
    found: tuple[dict[str, Obj], dict[str, Obj]] = ({}, {})
    for change in changes({}, {}, NOW):
        assert change.is_new
        kind = found[0 if change.plural == "flowschemas" else 1]
        kind[change.obj["metadata"]["name"]] = change.obj
    return found


def test_what_is_written_needs_no_change() -> None:
    schemas, levels = stored()
    assert (len(schemas), len(levels)) == (12, 8)
    assert changes(schemas, levels, NOW) == []
    told = condition(schemas["exempt"], "Dangling") or {}
    assert (told["status"], told["reason"]) == ("False", "Found")


def test_what_is_mandatory_comes_back_and_what_was_taken_over_stays() -> None:
    schemas, levels = stored()
    mine = {"autoupdate": "false"}
    for name in ("catch-all", "system", "workload-low"):
        spec = levels[name]["spec"]
        limited = spec["limited"] | {"nominalConcurrencyShares": 1}
        levels[name] |= {"spec": spec | {"limited": limited}}
    levels["system"] |= {
        "metadata": {
            "name": "system",
            "annotations": {"apf.kubernetes.io/autoupdate-spec": mine["autoupdate"]},
        }
    }
    del schemas["exempt"]
    found = {c.obj["metadata"]["name"]: c for c in changes(schemas, levels, NOW)}
    assert found.keys() == {"catch-all", "workload-low", "exempt"}
    assert found["exempt"].is_new
    assert found["catch-all"].obj["spec"]["limited"]["nominalConcurrencyShares"] == 5


def test_a_schema_without_its_level_is_dangling() -> None:
    schemas, levels = stored()
    schemas["x"] = rule()
    (change,) = changes(schemas, levels, NOW)
    told = condition(change.obj, "Dangling") or {}
    assert (told["status"], told["reason"]) == ("True", "NotFound")
    assert told["message"] == (
        "This FlowSchema references the PriorityLevelConfiguration object named "
        '"y" but there is no such object'
    )
