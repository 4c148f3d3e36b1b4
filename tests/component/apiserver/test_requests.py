"""The API over TLS, request by request."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from support.api_server import Api, RunningApiServer, Story

PODS = "/api/v1/namespaces/default/pods"
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"


Tell = Callable[[Story], None]


def a_map(name: str, **metadata: Any) -> dict[str, Any]:
    return {"metadata": {"name": name} | metadata, "data": {"k": "v"}}


async def watch_events(api: Api, path: str, count: int) -> list[dict[str, Any]]:
    stream = await api.http.stream("GET", path)
    events = []
    async for line in stream.lines():
        events.append(json.loads(line))
        if len(events) == count:
            break
    stream.close()
    return events


def test_a_write_is_found_at_once_and_conflicts_are_told(tell: Tell) -> None:
    async def story(api: Api, running: RunningApiServer) -> None:
        status, made = await api("POST", CONFIG_MAPS, a_map("a"))
        assert status == 201
        assert (await api("GET", f"{CONFIG_MAPS}/a")) == (200, made)
        status, again = await api("POST", CONFIG_MAPS, a_map("a"))
        assert (status, again["reason"]) == (409, "AlreadyExists")
        stale = made | {"data": {"k": "2"}}
        status, changed = await api("PUT", f"{CONFIG_MAPS}/a", stale)
        assert int(changed["metadata"]["resourceVersion"]) > int(
            made["metadata"]["resourceVersion"]
        )
        status, refused = await api("PUT", f"{CONFIG_MAPS}/a", stale | {"data": {}})
        assert (status, refused["reason"]) == (409, "Conflict")
        same = await api("PUT", f"{CONFIG_MAPS}/a", a_map("a") | {"data": {"k": "2"}})
        assert same == (200, changed), "a write that changes nothing keeps its revision"
        assert (await api("DELETE", f"{CONFIG_MAPS}/a"))[0] == 200
        assert (await api("GET", f"{CONFIG_MAPS}/a"))[0] == 404

    tell(story)


def test_only_a_dry_run_takes_a_revision_on_create(tell: Tell) -> None:
    async def story(api: Api, running: RunningApiServer) -> None:
        body = a_map("a", resourceVersion="5")
        status, made = await api("POST", f"{CONFIG_MAPS}?dryRun=All", body)
        assert (status, made["metadata"]["resourceVersion"]) == (201, "5")
        status, refused = await api("POST", CONFIG_MAPS, body)
        assert (status, refused["message"]) == (
            500,
            "resourceVersion should not be set on objects to be created",
        )
        assert (await api("POST", CONFIG_MAPS, a_map("a", resourceVersion="0")))[0] == 201

    tell(story)


def test_pages_are_one_snapshot(tell: Tell) -> None:
    async def story(api: Api, running: RunningApiServer) -> None:
        for name in "abcde":
            await api("POST", CONFIG_MAPS, a_map(name))
        _, first = await api("GET", f"{CONFIG_MAPS}?limit=2")
        assert first["metadata"]["remainingItemCount"] == 3
        await api("DELETE", f"{CONFIG_MAPS}/d")
        await api("POST", CONFIG_MAPS, a_map("cc"))
        token = first["metadata"]["continue"]
        _, rest = await api("GET", f"{CONFIG_MAPS}?limit=9&continue={token}")
        assert [o["metadata"]["name"] for o in rest["items"]] == ["c", "d", "e"]
        assert rest["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
        _, now = await api("GET", f"{CONFIG_MAPS}?fieldSelector=metadata.name=cc")
        assert len(now["items"]) == 1

    tell(story)


def test_a_watch_follows_a_selection(tell: Tell) -> None:
    async def story(api: Api, running: RunningApiServer) -> None:
        _, first = await api("POST", CONFIG_MAPS, a_map("a", labels={"x": "1"}))
        revision = first["metadata"]["resourceVersion"]
        await api("POST", CONFIG_MAPS, a_map("b"))
        await api("PUT", f"{CONFIG_MAPS}/b", a_map("b", labels={"x": "2"}))
        await api("PUT", f"{CONFIG_MAPS}/a", a_map("a"))
        path = f"{CONFIG_MAPS}?watch=1&labelSelector=x&resourceVersion={revision}"
        events = await watch_events(api, path, 2)
        seen = [(e["type"], e["object"]["metadata"]["name"]) for e in events]
        assert seen == [("ADDED", "b"), ("DELETED", "a")]
        assert events[1]["object"]["metadata"]["labels"] == {"x": "1"}

    tell(story)


def test_initial_events_end_with_a_marked_bookmark(tell: Tell) -> None:
    async def story(api: Api, running: RunningApiServer) -> None:
        await api("POST", CONFIG_MAPS, a_map("a"))
        path = (
            f"{CONFIG_MAPS}?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
            "&allowWatchBookmarks=true"
        )
        added, bookmark = await watch_events(api, path, 2)
        assert (added["type"], bookmark["type"]) == ("ADDED", "BOOKMARK")
        annotations = bookmark["object"]["metadata"]["annotations"]
        assert annotations == {"k8s.io/initial-events-end": "true"}

    tell(story)


def test_finalizers_hold_an_object_until_they_are_gone(tell: Tell) -> None:
    async def story(api: Api, running: RunningApiServer) -> None:
        await api("POST", CONFIG_MAPS, a_map("a", finalizers=["x.io/hold"]))
        status, marked = await api("DELETE", f"{CONFIG_MAPS}/a")
        assert status == 200
        assert marked["metadata"]["deletionTimestamp"]
        patch = {"content-type": "application/merge-patch+json"}
        await api("PATCH", f"{CONFIG_MAPS}/a", {"metadata": {"finalizers": None}}, patch)
        assert (await api("GET", f"{CONFIG_MAPS}/a"))[0] == 404

    tell(story)


def test_a_namespace_goes_in_two_steps(tell: Tell) -> None:
    async def story(api: Api, running: RunningApiServer) -> None:
        await api("POST", "/api/v1/namespaces", {"metadata": {"name": "n"}})
        _, ending = await api("DELETE", "/api/v1/namespaces/n")
        assert ending["status"]["phase"] == "Terminating"
        status, refused = await api("POST", "/api/v1/namespaces/n/configmaps", a_map("a"))
        assert (status, refused["details"]["causes"][0]["reason"]) == (403, "NamespaceTerminating")
        ending["spec"] = {}
        assert (await api("PUT", "/api/v1/namespaces/n/finalize", ending))[0] == 200
        assert (await api("GET", "/api/v1/namespaces/n"))[0] == 404

    tell(story)


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/namespaces/default/namespaces/kube-system",
        "/api/v1/namespaces/default/namespaces/kube-system/status",
        "/api/v1/namespaces/default/namespaces",
        "/api/v1/namespaces/default/nodes/n",
        "/api/v1/namespaces/default/nodes/n/status",
        "/api/v1/pods/p/status",
    ],
)
def test_an_object_has_one_path_only(tell: Tell, path: str) -> None:
    async def story(api: Api, running: RunningApiServer) -> None:
        for _ in range(2):  # The second time the path is a remembered one.
            status, answer = await api("GET", path)
            assert (status, answer["reason"]) == (404, "NotFound")

    tell(story)


def test_long_paths_are_not_remembered(tell: Tell) -> None:
    async def story(api: Api, running: RunningApiServer) -> None:
        before = len(running.server._routes)
        for n in range(3):
            status, _ = await api("GET", f"{CONFIG_MAPS}/{n}{'a' * 2000}")
            assert status == 404
        assert len(running.server._routes) == before

    tell(story)


TABLE = {"accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
FORBIDDEN_NUMBERS = {"replicas": 1, "readyReplicas": 2}


@pytest.mark.parametrize(
    ("method", "path", "headers", "wanted"),
    [
        pytest.param("FOO", "/api/v1/namespaces", {}, 405, id="unknown-method"),
        pytest.param("FOO", "/nope", {}, 404, id="unknown-method-and-path"),
        pytest.param("GET", "/version", {"accept": "application/yaml"}, 406, id="version-as-yaml"),
        pytest.param("GET", "/version", TABLE, 200, id="version-as-table"),
        pytest.param("GET", "/api/v1", {"accept": "application/*"}, 406, id="documents-router"),
        pytest.param("POST", REVIEWS, TABLE, 406, id="review-as-table"),
        pytest.param("GET", f"{CONFIG_MAPS}?timeout=bad", {}, 400, id="no-duration"),
        pytest.param("GET", f"{CONFIG_MAPS}?timeout=1m", {}, 200, id="duration"),
        pytest.param(
            "GET", "/api/v1/nodes/n/proxy/x?timeout=bad", {}, 404, id="a-proxys-own-parameter"
        ),
        pytest.param(
            "GET", f"{CONFIG_MAPS}?watch=1&timeout=bad&timeoutSeconds=1", {}, 200, id="of-a-watch"
        ),
        pytest.param("GET", f"{CONFIG_MAPS}?fieldSelector=%3D", {}, 200, id="empty-requirement"),
        pytest.param("GET", f"{CONFIG_MAPS}?includeObject=Nope", TABLE, 400, id="include-what"),
        pytest.param("GET", f"{CONFIG_MAPS}?includeObject=", TABLE, 200, id="include-default"),
        pytest.param("DELETE", f"{CONFIG_MAPS}?resourceVersion=1", {}, 409, id="stale-revision"),
        pytest.param("DELETE", f"{CONFIG_MAPS}/a?uid=x", {}, 409, id="other-uid"),
        pytest.param("DELETE", CONFIG_MAPS, {}, 200, id="all"),
    ],
)
def test_answers_to_odd_requests(
    tell: Tell, method: str, path: str, headers: dict[str, str], wanted: int
) -> None:
    async def story(api: Api, running: RunningApiServer) -> None:
        await api("POST", CONFIG_MAPS, a_map("a"))
        status, _ = await api(method, path, {} if method == "POST" else None, headers)
        assert status == wanted

    tell(story)


def test_a_write_that_changes_only_the_order_changes_nothing(tell: Tell) -> None:
    async def story(api: Api, running: RunningApiServer) -> None:
        _, made = await api("POST", CONFIG_MAPS, a_map("a") | {"data": {"k": "1", "l": "2"}})
        turned = {"data": {"l": "2", "k": "1"}, "metadata": {"name": "a"}}
        status, same = await api("PUT", f"{CONFIG_MAPS}/a", turned)
        assert (status, same["metadata"]) == (200, made["metadata"])

    tell(story)


def test_a_patch_nested_too_deeply_is_refused(tell: Tell) -> None:
    async def story(api: Api, running: RunningApiServer) -> None:
        await api("POST", CONFIG_MAPS, a_map("a"))
        for kind in ("merge-patch", "strategic-merge-patch"):
            deep = b'{"data":' + b'{"a":' * 900 + b"1" + b"}" * 901
            given = {"content-type": f"application/{kind}+json"}
            status, answer = await api("PATCH", f"{CONFIG_MAPS}/a", deep, given)
            assert (status, answer["reason"]) == (400, "BadRequest"), answer["message"]
        assert (await api("GET", f"{CONFIG_MAPS}/a"))[0] == 200

    tell(story)


def test_an_object_nested_too_deeply_is_refused(tell: Tell) -> None:
    async def story(api: Api, running: RunningApiServer) -> None:
        deep = b'{"metadata":{"name":"a"},"data":' + b'{"a":' * 400 + b"1" + b"}" * 401
        path = "/apis/apps/v1/namespaces/default/controllerrevisions"
        status, answer = await api("POST", path, deep)
        assert (status, answer["reason"]) == (400, "BadRequest"), answer["message"]

    tell(story)


def test_a_scale_that_changes_nothing_is_a_write_while_somebody_has_the_replicas(
    tell: Tell,
) -> None:
    """As upstream: kubectl then says "patched", and not "no change"."""
    labels = {"matchLabels": {"a": "b"}}
    template = {
        "metadata": {"labels": {"a": "b"}},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    }
    deployments = "/apis/apps/v1/namespaces/default/deployments"
    merge = {"content-type": "application/merge-patch+json"}

    async def story(api: Api, running: RunningApiServer) -> None:
        spec = {"replicas": 0, "selector": labels, "template": template}
        await api("POST", deployments, {"metadata": {"name": "a"}, "spec": spec})
        revisions = []
        for _ in range(4):
            _, scale = await api(
                "PATCH", f"{deployments}/a/scale", {"spec": {"replicas": 0}}, merge
            )
            revisions.append(scale["metadata"]["resourceVersion"])
        assert len(set(revisions)) == 2, "the first two wrote, the others did not"
        _, found = await api("GET", f"{deployments}/a")
        assert found["metadata"]["generation"] == 1

    tell(story)


def test_a_scale_without_replicas_takes_a_json_patch(tell: Tell) -> None:
    async def story(api: Api, running: RunningApiServer) -> None:
        sets = "/apis/apps/v1/namespaces/default/replicasets"
        template = {
            "metadata": {"labels": {"a": "b"}},
            "spec": {"containers": [{"name": "c", "image": "i"}]},
        }
        spec = {"replicas": 0, "selector": {"matchLabels": {"a": "b"}}, "template": template}
        status, _ = await api("POST", sets, {"metadata": {"name": "a"}, "spec": spec})
        assert status == 201
        change = json.dumps([{"op": "replace", "path": "/spec/replicas", "value": 7}]).encode()
        given = {"content-type": "application/json-patch+json"}
        status, scale = await api("PATCH", f"{sets}/a/scale", change, given)
        assert (status, scale["spec"]) == (200, {"replicas": 7})
        status, table = await api("GET", f"{sets}/a/scale", None, TABLE)
        assert [c["name"] for c in table["columnDefinitions"]] == [
            "Name", "Desired", "Available", "Age",
        ]  # fmt: skip
        wrong = json.dumps({"status": FORBIDDEN_NUMBERS}).encode()
        given = {"content-type": "application/merge-patch+json"}
        status, answer = await api("PATCH", f"{sets}/a/status", wrong, given)
        assert (status, answer["details"]["causes"][0]["field"]) == (422, "status.readyReplicas")

    tell(story)


def test_an_empty_table_of_default_columns_has_no_rows(tell: Tell) -> None:
    async def story(api: Api, running: RunningApiServer) -> None:
        roles = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles"
        assert (await api("GET", roles, None, TABLE))[1]["rows"] is None
        assert (await api("GET", CONFIG_MAPS, None, TABLE))[1]["rows"] == []

    tell(story)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/api/v1/namespaces/default/status", None, 200),
        ("PUT", "/api/v1/namespaces/default/finalize", {"metadata": {"name": "default"}}, 406),
        ("POST", "/api/v1/namespaces/default/bindings", {"metadata": {"name": "a"}}, 406),
        ("POST", f"{PODS}/a/binding", {"metadata": {"name": "a"}}, 406),
        ("POST", f"{PODS}/a/eviction", {"metadata": {"name": "a"}}, 406),
        ("GET", f"{PODS}/a/resize", None, 406),
        ("GET", f"{PODS}/a/status", None, 404),
    ],
)
def test_subresources_that_are_no_table(
    tell: Tell, method: str, path: str, body: dict[str, Any] | None, status: int
) -> None:
    async def story(api: Api, running: RunningApiServer) -> None:
        assert (await api(method, path, body, TABLE))[0] == status

    tell(story)


def test_a_strict_reader_of_yaml_tells_every_line(tell: Tell) -> None:
    async def story(api: Api, running: RunningApiServer) -> None:
        body = b"metadata: {name: a}\nkind: ConfigMap\nkind: ConfigMap\nodd: 1\n"
        given = {"content-type": "application/yaml"}
        status, answer = await api("POST", f"{CONFIG_MAPS}?fieldValidation=Strict", body, given)
        assert status == 400
        assert answer["message"].endswith(
            "strict decoding error: yaml: unmarshal errors:\n"
            '  line 3: key "kind" already set in map,'
            ' unknown field "odd"'
        )

    tell(story)


OWNER = {"apiVersion": "v1", "kind": "Pod", "name": "a", "uid": "u1"}
TWICE = ".metadata.ownerReferences contains duplicate entries"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_an_owner_that_is_named_twice_is_kept_once(tell: Tell, method: str) -> None:
    async def story(api: Api, running: RunningApiServer) -> None:
        path = "/api/v1/namespaces/default/configmaps"
        single: dict[str, Any] = {"metadata": {"name": "a", "ownerReferences": [OWNER]}}
        double = {"metadata": {"name": "a", "ownerReferences": [OWNER, OWNER]}}
        kind = "application/json"
        if method != "POST":
            assert (await api("POST", path, single))[0] == 201
            path = f"{path}/a"
        if method == "PATCH":
            kind = "application/merge-patch+json"
        answer = await api.http.request(
            method, path, headers={"content-type": kind}, body=json.dumps(double).encode()
        )
        assert json.loads(answer.body)["metadata"]["ownerReferences"] == [OWNER]
        when = " after mutating admission happens" if method == "PATCH" else ""
        assert f"{TWICE}{when}; API server dedups" in answer.headers["warning"]

    tell(story)


def test_words_about_the_end_of_a_namespace(tell: Tell) -> None:
    async def story(api: Api, running: RunningApiServer) -> None:
        path = "/api/v1/namespaces/n"
        _, made = await api("POST", "/api/v1/namespaces", {"metadata": {"name": "n"}})
        uid = made["metadata"]["uid"]
        ending = made | {"spec": {"finalizers": ["kubernetes", "bad"]}}
        status, refused = await api("PUT", f"{path}/finalize", ending)
        assert status == 422
        assert [c["field"] for c in refused["details"]["causes"]] == ["spec.finalizers[1]"]
        labels = made["metadata"]["labels"] | {"a": "b"}
        kept = made | {"metadata": made["metadata"] | {"labels": labels}}
        status, changed = await api("PUT", f"{path}/finalize", kept)
        assert (status, changed["metadata"]["labels"]) == (200, labels)
        status, refused = await api("DELETE", path, {"preconditions": {"uid": "other"}})
        assert (status, refused["message"]) == (
            409,
            'Operation cannot be fulfilled on namespaces "n": Precondition failed: UID in'
            f" precondition: other, UID in object meta: {uid}",
        )

    tell(story)
