"""A real API server with CustomResourceDefinitions: what they define is served, and goes again."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import uvloop

from support.api_server import Api, RunningApiServer, memory_backend, start
from support.etcd import etcd
from support.waiting import until
from tiphys.lib.clock import SystemClock
from tiphys.storage.backend import Backend
from tiphys.storage.etcd.backend import EtcdBackend

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
NAME = "widgets.acme.io"
WIDGETS = "/apis/acme.io/v1/namespaces/default/widgets"
MERGE = {"content-type": "application/merge-patch+json"}
AGGREGATED = {"accept": "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"}
SPEC = {
    "type": "object",
    "properties": {
        "size": {"type": "integer", "minimum": 1},
        "color": {"type": "string", "default": "red"},
    },
}
Story = Callable[[RunningApiServer, Api], Coroutine[Any, Any, None]]


def schema(**properties: Any) -> dict[str, Any]:
    status = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    known = {"spec": SPEC, "status": status} | properties
    return {"openAPIV3Schema": {"type": "object", "properties": known}}


def version(name: str = "v1", *, storage: bool = True, **more: Any) -> dict[str, Any]:
    return {"name": name, "served": True, "storage": storage, "schema": schema()} | more


def definition(*versions: dict[str, Any], **names: Any) -> dict[str, Any]:
    plural = names.get("plural", "widgets")
    known = {"plural": plural, "kind": "Widget", "shortNames": ["wd"]} | names
    spec: dict[str, Any] = {"group": "acme.io", "scope": "Namespaced", "names": known}
    spec["versions"] = list(versions) or [version()]
    return {"metadata": {"name": f"{plural}.acme.io"}, "spec": spec}


def widget(name: str, api_version: str = "acme.io/v1", **more: Any) -> dict[str, Any]:
    metadata = {"name": name} | more.pop("metadata", {})
    return {"apiVersion": api_version, "kind": "Widget", "metadata": metadata} | more


async def established(api: Api, made: dict[str, Any]) -> dict[str, Any]:
    """The definition, once its objects are served."""
    status, answer = await api("POST", DEFINITIONS, made)
    assert status == 201, answer
    name = made["metadata"]["name"]
    found: dict[str, Any] = {}

    async def is_so() -> bool:
        nonlocal found
        _, found = await api("GET", f"{DEFINITIONS}/{name}")
        return condition(found, "Established").get("status") == "True"

    await until(is_so)
    return found


def condition(found: dict[str, Any], kind: str) -> dict[str, Any]:
    conditions = found["status"].get("conditions") or []
    return next((dict(c) for c in conditions if c["type"] == kind), {})


async def gone(api: Api, path: str) -> None:
    async def is_gone() -> bool:
        return (await api("GET", path))[0] == 404

    await until(is_gone)


def tell(directory: Path, *stories: Story, backend: Backend | None = None) -> None:
    """Each story has a server of its own; they share the store."""

    async def whole() -> None:
        shared = backend or memory_backend()
        for number, story in enumerate(stories):
            running, listening = await start(directory / str(number), shared)
            try:
                async with asyncio.timeout(30):
                    await story(running, running.client())
            finally:
                await listening.__aexit__()

    for number in range(len(stories)):
        (directory / str(number)).mkdir()
    uvloop.run(whole())


def test_nothing_is_loaded_before_the_first_definition(tmp_path: Path) -> None:
    async def story(running: RunningApiServer, api: Api) -> None:
        assert running.server.definitions is None
        await established(api, definition())
        assert running.server.definitions is not None

    tell(tmp_path, story)


def test_objects_are_defaulted_pruned_checked_and_kept(tmp_path: Path) -> None:
    async def story(running: RunningApiServer, api: Api) -> None:
        await established(api, definition())
        made = widget("a", spec={"size": 2, "zz": 1})
        status, created = await api("POST", WIDGETS, made)
        assert (status, created["spec"]) == (201, {"size": 2, "color": "red"})
        status, refused = await api("POST", f"{WIDGETS}?fieldValidation=Strict", made)
        assert (status, refused["reason"]) == (400, "BadRequest")
        assert 'unknown field "spec.zz"' in refused["message"]
        status, refused = await api("PATCH", f"{WIDGETS}/a", {"spec": {"size": 0}}, MERGE)
        assert status == 422
        text = "spec.size in body should be greater than or equal to 1"
        assert text in refused["details"]["causes"][0]["message"]
        assert (await api("GET", f"{WIDGETS}/a"))[1] == created
        assert (await api("POST", WIDGETS, widget("b") | {"metadata": None}))[0] == 422
        values: list[Any] = [5, [], "x"]
        for wrong in values:
            status, refused = await api("POST", WIDGETS, widget("b", spec=wrong))
            assert (status, refused["details"]["causes"][0]["field"]) == (422, "spec")

    async def later(running: RunningApiServer, api: Api) -> None:
        _, listed = await api("GET", "/apis/acme.io/v1/widgets")
        assert [item["metadata"]["name"] for item in listed["items"]] == ["a"]
        assert listed["kind"] == "WidgetList"
        assert listed["items"][0]["kind"] == "Widget"

    tell(tmp_path, story, later)


def test_versions_share_objects_and_a_new_storage_version_reads_old_ones(tmp_path: Path) -> None:
    async def story(running: RunningApiServer, api: Api) -> None:
        await established(api, definition(version(), version("v2", storage=False)))
        await api("POST", WIDGETS, widget("old", spec={"size": 1}))
        versions = [version(storage=False), version("v2")]
        change = {"spec": {"versions": versions}}
        status, changed = await api("PATCH", f"{DEFINITIONS}/{NAME}", change, MERGE)
        assert (status, changed["status"]["storedVersions"]) == (200, ["v1", "v2"])
        v2 = WIDGETS.replace("v1", "v2")
        status, _ = await api("POST", v2, widget("new", "acme.io/v2", spec={"size": 2}))
        assert status == 201
        key = "/registry/acme.io/widgets/default/"
        stored = await running.server.store.backend.range(key)
        kinds = {item.key.removeprefix(key): orjson.loads(item.value) for item in stored.items}
        assert {k: v["apiVersion"] for k, v in kinds.items()} == {
            "old": "acme.io/v1",
            "new": "acme.io/v2",
        }
        for path, wanted in ((WIDGETS, "acme.io/v1"), (v2, "acme.io/v2")):
            _, listed = await api("GET", path)
            assert [i["apiVersion"] for i in listed["items"]] == [wanted] * 2
        status, refused = await api(
            "PATCH", f"{DEFINITIONS}/{NAME}", {"spec": {"versions": [version("v2")]}}, MERGE
        )
        assert (status, refused["details"]["causes"][0]["field"]) == (
            422,
            "status.storedVersions[0]",
        )

    async def later(running: RunningApiServer, api: Api) -> None:
        _, listed = await api("GET", WIDGETS)
        assert [i["metadata"]["name"] for i in listed["items"]] == ["new", "old"]

    tell(tmp_path, story, later)


def test_status_and_generation(tmp_path: Path) -> None:
    async def story(running: RunningApiServer, api: Api) -> None:
        await established(api, definition(version(subresources={"status": {}})))
        made = widget("a", spec={"size": 1}, status={"phase": "X"})
        _, created = await api("POST", WIDGETS, made)
        assert "status" not in created
        change = {"status": {"phase": "Y"}, "spec": {"size": 9}, "metadata": {"labels": {"a": "b"}}}
        status, changed = await api("PATCH", f"{WIDGETS}/a/status", change, MERGE)
        assert (status, changed["status"]) == (200, {"phase": "Y"})
        assert (changed["spec"]["size"], changed["metadata"]["generation"]) == (1, 1)
        assert "labels" not in changed["metadata"]
        _, changed = await api("PATCH", f"{WIDGETS}/a", {"spec": {"size": 3}}, MERGE)
        assert (changed["metadata"]["generation"], changed["status"]) == (2, {"phase": "Y"})

    tell(tmp_path, story)


def test_watches_and_selectable_fields(tmp_path: Path) -> None:
    async def story(running: RunningApiServer, api: Api) -> None:
        fields = [{"jsonPath": ".spec.color"}]
        await established(api, definition(version(selectableFields=fields)))
        stream = await api.http.stream("GET", f"{WIDGETS}?watch=1&fieldSelector=spec.color=blue")
        lines = stream.lines()
        await api("POST", WIDGETS, widget("a", spec={"size": 1}))
        await api("POST", WIDGETS, widget("b", spec={"size": 1, "color": "blue"}))
        await api("PATCH", f"{WIDGETS}/b", {"spec": {"color": "red"}}, MERGE)
        events = [orjson.loads(await anext(lines)) for _ in range(2)]
        assert [(e["type"], e["object"]["metadata"]["name"]) for e in events] == [
            ("ADDED", "b"),
            ("DELETED", "b"),
        ]
        stream.close()

    tell(tmp_path, story)


def test_a_deleted_definition_takes_its_objects_along(tmp_path: Path) -> None:
    async def story(running: RunningApiServer, api: Api) -> None:
        await established(api, definition())
        held = {"finalizers": ["acme.io/hold"]}
        await api("POST", WIDGETS, widget("free", spec={"size": 1}))
        await api("POST", WIDGETS, widget("held", metadata=held, spec={"size": 1}))
        status, marked = await api("DELETE", f"{DEFINITIONS}/{NAME}")
        assert (status, condition(marked, "Terminating")["status"]) == (200, "True")
        await gone(api, f"{WIDGETS}/free")
        status, refused = await api("POST", WIDGETS, widget("new", spec={"size": 1}))
        assert (status, refused["reason"]) == (403, "Forbidden")
        status, held_one = await api("GET", f"{WIDGETS}/held")
        assert held_one["metadata"]["deletionTimestamp"]
        await api("PATCH", f"{WIDGETS}/held", {"metadata": {"finalizers": None}}, MERGE)
        await gone(api, f"{DEFINITIONS}/{NAME}")
        status, text = await api("GET", WIDGETS)
        assert (status, text) == (404, b"404 page not found\n")
        assert (await api("GET", "/apis/acme.io"))[0] == 404
        # A new one begins with nothing.
        await established(api, definition())
        assert (await api("GET", WIDGETS))[1]["items"] == []

    tell(tmp_path, story)


def test_names_that_are_taken_are_not_accepted_until_they_are_free(tmp_path: Path) -> None:
    async def story(running: RunningApiServer, api: Api) -> None:
        await established(api, definition())
        rival = definition(plural="widgetoids", kind="Widgetoid", shortNames=["wd"])
        await api("POST", DEFINITIONS, rival)
        path = f"{DEFINITIONS}/widgetoids.acme.io"
        found: dict[str, Any] = {}

        async def says(kind: str, status: str) -> bool:
            nonlocal found
            _, found = await api("GET", path)
            return condition(found, kind).get("status") == status

        await until(lambda: says("NamesAccepted", "False"))
        taken = condition(found, "NamesAccepted")
        assert (taken["reason"], taken["message"]) == (
            "ShortNamesConflict",
            '"wd" is already in use',
        )
        assert condition(found, "Established")["reason"] == "NotAccepted"
        assert (await api("GET", "/apis/acme.io/v1/widgetoids"))[0] == 404
        await api("DELETE", f"{DEFINITIONS}/{NAME}")
        await until(lambda: says("Established", "True"))

    tell(tmp_path, story)


def test_discovery_and_openapi_follow(tmp_path: Path) -> None:
    async def story(running: RunningApiServer, api: Api) -> None:
        _, before = await api("GET", "/openapi/v3")
        await established(api, definition(version("v1beta1", storage=False), version()))
        _, group = await api("GET", "/apis/acme.io")
        assert [v["version"] for v in group["versions"]] == ["v1", "v1beta1"]
        api_service = "/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.acme.io"

        async def is_registered() -> bool:
            return (await api("GET", api_service))[0] == 200

        await until(is_registered)
        _, whole = await api("GET", "/apis", headers=AGGREGATED)
        assert "acme.io" in {item["metadata"]["name"] for item in whole["items"]}
        _, index = await api("GET", "/openapi/v3")
        url = index["paths"]["apis/acme.io/v1"]["serverRelativeURL"]
        assert "apis/acme.io/v1" not in before["paths"]
        _, document = await api("GET", url)
        own = document["components"]["schemas"]["io.acme.v1.Widget"]
        assert own["properties"]["spec"]["properties"]["size"]["type"] == "integer"
        patch = document["paths"][f"{WIDGETS.replace('default', '{namespace}')}/{{name}}"]["patch"]
        assert "fieldValidation" in {p["name"] for p in patch["parameters"]}
        _, v2 = await api("GET", "/openapi/v2")
        assert "io.acme.v1.Widget" in v2["definitions"]
        change = {"spec": {"versions": [version("v1beta1", storage=False), version(schema=schema(
            extra={"type": "string"}))]}}  # fmt: skip
        await api("PATCH", f"{DEFINITIONS}/{NAME}", change, MERGE)

        async def is_new() -> bool:
            _, index = await api("GET", "/openapi/v3")
            return bool(index["paths"]["apis/acme.io/v1"]["serverRelativeURL"] != url)

        await until(is_new, seconds=1.0)
        status, _ = await api("DELETE", f"{DEFINITIONS}/{NAME}")
        await gone(api, f"{DEFINITIONS}/{NAME}")
        await gone(api, api_service)
        _, v2 = await api("GET", "/openapi/v2")
        assert (status, "io.acme.v1.Widget" in v2["definitions"]) == (200, False)

    tell(tmp_path, story)


def test_a_kind_that_is_called_as_a_built_in_one_is_none(tmp_path: Path) -> None:
    async def story(running: RunningApiServer, api: Api) -> None:
        for plural, kind in (("services", "Service"), ("pods", "Pod"), ("events", "Event")):
            await established(api, definition(plural=plural, kind=kind, shortNames=[]))
            path = f"/apis/acme.io/v1/namespaces/default/{plural}"
            made = widget("a", spec={"size": 1}) | {"kind": kind}
            status, created = await api("POST", path, made)
            assert (status, created["spec"]) == (201, {"size": 1, "color": "red"})
            status, _ = await api("PUT", f"{path}/a", created | {"spec": {"size": 2}})
            assert status == 200
            status, answer = await api("DELETE", f"{path}/a")
            assert (status, answer["kind"]) == (200, "Status")
            assert (await api("GET", f"{path}/a"))[0] == 404

    tell(tmp_path, story)


def test_rules_are_asked_of_every_write(tmp_path: Path) -> None:
    async def story(running: RunningApiServer, api: Api) -> None:
        made = definition()
        rules = [
            {"rule": "self.size < 9", "message": "too big"},
            {
                "rule": "self.size >= oldSelf.size",
                "messageExpression": "oldSelf.size > 4 ? 'was above 4' : 'was'",
            },
        ]
        spec = SPEC | {"x-kubernetes-validations": rules}
        made["spec"]["versions"][0]["schema"] = schema(spec=spec)
        await established(api, made)
        status, answer = await api("POST", WIDGETS, widget("a", spec={"size": 9}))
        assert status == 422
        assert answer["details"]["causes"] == [
            {"field": "spec", "message": "Invalid value: too big", "reason": "FieldValueInvalid"}
        ]
        assert (await api("POST", WIDGETS, widget("a", spec={"size": 5})))[0] == 201
        status, answer = await api("PATCH", f"{WIDGETS}/a", {"spec": {"size": 4}}, MERGE)
        assert (status, answer["details"]["causes"][0]["message"]) == (
            422,
            "Invalid value: was above 4",
        )
        assert (await api("PATCH", f"{WIDGETS}/a", {"spec": {"size": 6}}, MERGE))[0] == 200

    tell(tmp_path, story)


def test_a_stricter_rule_lets_what_did_not_change_be(tmp_path: Path) -> None:
    async def story(running: RunningApiServer, api: Api) -> None:
        made = definition()
        await established(api, made)
        assert (await api("POST", WIDGETS, widget("a", spec={"size": 9})))[0] == 201
        size = {"type": "integer", "x-kubernetes-validations": [{"rule": "self < 5"}]}
        stricter = {"type": "object", "properties": {"size": size, "color": {"type": "string"}}}
        versions = [version(schema=schema(spec=stricter))]
        path = f"{DEFINITIONS}/{NAME}"
        assert (await api("PATCH", path, {"spec": {"versions": versions}}, MERGE))[0] == 200

        async def is_told_of() -> bool:
            answer = await api.http.request(
                "PATCH",
                f"{WIDGETS}/a?dryRun=All",
                headers=MERGE,
                body=orjson.dumps({"spec": {"color": "blue"}}),
            )
            assert answer.status == 200
            return "spec.size: Invalid value: 9: failed rule" in answer.headers.get("warning", "")

        await until(is_told_of)
        status, _ = await api("PATCH", f"{WIDGETS}/a", {"spec": {"size": 8}}, MERGE)
        assert status == 422

    tell(tmp_path, story)


def test_a_definition_with_a_rule_that_says_nothing_is_refused(tmp_path: Path) -> None:
    async def story(running: RunningApiServer, api: Api) -> None:
        made = definition()
        spec = SPEC | {"x-kubernetes-validations": [{"rule": "self.nope"}]}
        made["spec"]["versions"][0]["schema"] = schema(spec=spec)
        status, answer = await api("POST", DEFINITIONS, made)
        assert status == 422
        assert "ERROR: <input>:1:5: undefined field 'nope'" in answer["message"]

    tell(tmp_path, story)


def test_two_servers_agree(tmp_path: Path) -> None:
    """What one was told, the other serves, from the moment that the definition says so."""

    async def whole() -> None:
        with etcd(1) as cluster:
            backends = [
                await EtcdBackend.open(cluster.endpoints, cluster.tls(), SystemClock())
                for _ in range(2)
            ]
            begun = []
            for number, backend in enumerate(backends):
                (tmp_path / str(number)).mkdir()
                begun.append(await start(tmp_path / str(number), backend))
            one, other = (running.client() for running, _ in begun)
            try:
                async with asyncio.timeout(60):
                    for _ in range(3):
                        await established(one, definition())
                        status, _ = await other("POST", WIDGETS, widget("a", spec={"size": 1}))
                        assert status == 201
                        assert (await one("GET", f"{WIDGETS}/a"))[0] == 200
                        await other("DELETE", f"{DEFINITIONS}/{NAME}")
                        await gone(one, f"{DEFINITIONS}/{NAME}")
                        await gone(other, WIDGETS)
            finally:
                for _, listening in begun:
                    with suppress(asyncio.CancelledError):
                        await listening.__aexit__()
                for backend in backends:
                    await backend.close()

    uvloop.run(whole())
