"""A real API server with mutating admission policies: what they make of objects."""

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from support.api_server import Api, run_story

GROUP = "/apis/admissionregistration.k8s.io/v1"
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
Story = Callable[[Api], Coroutine[Any, Any, None]]
MERGE = {"content-type": "application/merge-patch+json"}


def tell(directory: Path, story: Story) -> None:
    run_story(directory, lambda api, running: story(api))


def rule(resource: str, group: str = "", version: str = "v1") -> dict[str, Any]:
    return {
        "apiGroups": [group],
        "apiVersions": [version],
        "operations": ["CREATE", "UPDATE"],
        "resources": [resource],
    }


def applied(expression: str) -> dict[str, Any]:
    return {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}


def patched(expression: str) -> dict[str, Any]:
    return {"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}


async def bound(
    api: Api,
    *mutations: dict[str, Any],
    name: str = "p",
    where: dict[str, Any] | None = None,
    **more: Any,
) -> None:
    spec: dict[str, Any] = {
        "matchConstraints": {"resourceRules": [where or rule("configmaps")]},
        "failurePolicy": "Fail",
        "reinvocationPolicy": "Never",
        "mutations": list(mutations),
    }
    made = {"metadata": {"name": name}, "spec": spec | more}
    status, answer = await api("POST", f"{GROUP}/mutatingadmissionpolicies", made)
    assert status == 201, answer
    binding = {"metadata": {"name": name}, "spec": {"policyName": name}}
    status, answer = await api("POST", f"{GROUP}/mutatingadmissionpolicybindings", binding)
    assert status == 201, answer


def config_map(name: str = "c", **data: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "data": data}


async def made(api: Api, obj: dict[str, Any], path: str = CONFIG_MAPS) -> dict[str, Any]:
    status, answer = await api("POST", path, obj)
    assert status == 201, answer
    found: dict[str, Any] = answer
    return found


async def refused(api: Api, obj: dict[str, Any]) -> str:
    status, answer = await api("POST", CONFIG_MAPS, obj)
    assert (status, answer["reason"]) == (403, "Invalid")
    where = "policy 'p' with binding 'p' denied request: "
    assert answer["message"].startswith(where)
    return str(answer["message"]).removeprefix(where)


def test_what_is_applied_is_laid_over_the_object(tmp_path: Path) -> None:
    async def story(api: Api) -> None:
        await bound(
            api,
            applied(
                'Object{metadata: Object.metadata{labels: {"by": object.metadata.name}},'
                ' data: {"more": "1"}}'
            ),
        )
        found = await made(
            api, config_map(k="v") | {"metadata": {"name": "c", "labels": {"a": "b"}}}
        )
        assert found["metadata"]["labels"] == {"a": "b", "by": "c"}
        assert found["data"] == {"k": "v", "more": "1"}
        await api("PATCH", f"{CONFIG_MAPS}/c", {"data": {"more": None}}, MERGE)
        _, found = await api("GET", f"{CONFIG_MAPS}/c")
        assert found["data"] == {"k": "v", "more": "1"}

    tell(tmp_path, story)


def test_items_of_lists_are_merged_by_their_keys_and_get_defaults(tmp_path: Path) -> None:
    async def story(api: Api) -> None:
        sidecar = 'Object.spec.containers{name: "sidecar", image: "s:1"}'
        await bound(
            api,
            applied(f"Object{{spec: Object.spec{{containers: [{sidecar}]}}}}"),
            patched(
                '[JSONPatch{op: "add", path: "/spec/containers/0/env",'
                ' value: [Object.spec.containers.env{name: "N", value: object.metadata.name}]}]'
            ),
            where=rule("pods"),
        )
        await api("POST", "/api/v1/namespaces/default/serviceaccounts", named("default"))
        pod = named("p") | {"spec": {"containers": [{"name": "a", "image": "a:1"}]}}
        found = await made(api, pod, PODS)
        first, second = found["spec"]["containers"]
        assert (first["name"], second["name"]) == ("a", "sidecar")
        assert second["imagePullPolicy"] == "IfNotPresent"
        assert first["env"] == [{"name": "N", "value": "p"}]
        assert len(found["spec"]["volumes"]) == 1  # Plugins that ran twice did it once.
        assert len(second["volumeMounts"]) == 1  # And they saw what the policy added.

    tell(tmp_path, story)


def named(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name}}


def test_a_patch_whose_test_fails_changes_nothing(tmp_path: Path) -> None:
    async def story(api: Api) -> None:
        await bound(
            api,
            patched(
                '[JSONPatch{op: "test", path: "/data/k", value: "yes"},'
                ' JSONPatch{op: "add", path: "/data/" + jsonpatch.escapeKey("a/b"), value: "1"}]'
            ),
            variables=[{"name": "unused", "expression": "1"}],
        )
        assert (await made(api, config_map("one", k="no")))["data"] == {"k": "no"}
        status, answer = await api("POST", CONFIG_MAPS, config_map("two", k="yes"))
        assert status == 422
        assert answer["details"]["causes"][0]["field"] == "data[a/b]"

    tell(tmp_path, story)


def test_what_cannot_be_applied_refuses(tmp_path: Path) -> None:
    cases = {
        'Object{metadata: Object.spec{labels: {"a": "b"}}}': "type mismatch: unexpected type name"
        ' "Object.spec", expected "Object.metadata", which matches field name path from root Object'
        " type",
        'Object{nope: "x"}': "error applying patch: failed to convert patch object to typed object:"
        " .nope: field not declared in schema",
        "Object{data: object.data.nope}": "expression 'Object{data: object.data.nope}' resulted in"
        " error: no such key: nope",
    }

    async def story(api: Api) -> None:
        await bound(api, applied("Object{}"))
        path = f"{GROUP}/mutatingadmissionpolicies/p"
        for expression, told in cases.items():
            await api("PATCH", path, {"spec": {"mutations": [applied(expression)]}}, MERGE)
            assert await refused(api, config_map(k="v")) == told
        await api("PATCH", path, {"spec": {"failurePolicy": "Ignore"}}, MERGE)
        assert (await made(api, config_map(k="v")))["data"] == {"k": "v"}

    tell(tmp_path, story)


def test_lists_that_are_wholes_are_not_applied(tmp_path: Path) -> None:
    async def story(api: Api) -> None:
        inner = 'Object.spec.containers{name: "a", args: ["x"]}'
        expression = f"Object{{spec: Object.spec{{containers: [{inner}]}}}}"
        await bound(api, applied(expression), where=rule("pods"))
        await api("POST", "/api/v1/namespaces/default/serviceaccounts", named("default"))
        pod = named("p") | {"spec": {"containers": [{"name": "a", "image": "a:1"}]}}
        status, answer = await api("POST", PODS, pod)
        assert status == 403
        assert answer["message"].endswith(
            "denied request: error applying patch: invalid ApplyConfiguration: may not mutate"
            " atomic arrays, maps or structs: .spec.containers[0].args"
        )

    tell(tmp_path, story)


def test_a_policy_is_asked_again_where_it_wants_to(tmp_path: Path) -> None:
    async def story(api: Api) -> None:
        counted = applied(
            'Object{data: {"%s": string(int(has(object.data.%s) ? object.data.%s : "0") + 1)}}'
        )
        for name, again in (("a", "IfNeeded"), ("b", "Never")):
            expression = counted["applyConfiguration"]["expression"] % (name, name, name)
            await bound(api, applied(expression), name=name, reinvocationPolicy=again)
        assert (await made(api, config_map(k="v")))["data"] == {"a": "2", "b": "1", "k": "v"}

    tell(tmp_path, story)


def test_conditions_and_parameters(tmp_path: Path) -> None:
    async def story(api: Api) -> None:
        await bound(
            api,
            applied('Object{data: {"copied": params.data.from}}'),
            paramKind={"apiVersion": "v1", "kind": "ConfigMap"},
            matchConditions=[{"name": "wanted", "expression": "has(object.data.wanted)"}],
        )
        ref = {"name": "source", "namespace": "default", "parameterNotFoundAction": "Allow"}
        path = f"{GROUP}/mutatingadmissionpolicybindings/p"
        status, answer = await api("PATCH", path, {"spec": {"paramRef": ref}}, MERGE)
        assert status == 200, answer
        await made(api, config_map("source", **{"from": "here"}))
        assert (await made(api, config_map(wanted="1")))["data"] == {
            "copied": "here",
            "wanted": "1",
        }
        assert "copied" not in (await made(api, config_map("d", x="1")))["data"]

    tell(tmp_path, story)


def test_status_and_spec_stay_apart(tmp_path: Path) -> None:
    async def story(api: Api) -> None:
        where = rule("namespaces") | {"resources": ["namespaces", "namespaces/status"]}
        await bound(
            api,
            applied('Object{metadata: Object.metadata{labels: {"seen": "yes"}}}'),
            applied('Object{status: Object.status{phase: "Terminating"}}'),
            where=where | {"operations": ["UPDATE"]},
        )
        await made(api, named("n"), "/api/v1/namespaces")
        path = "/api/v1/namespaces/n"
        _, found = await api("PATCH", path, {"metadata": {"labels": {"x": "y"}}}, MERGE)
        assert found["metadata"]["labels"]["seen"] == "yes"
        assert found["status"]["phase"] == "Active"

    tell(tmp_path, story)


def test_no_patch_makes_something_else_of_an_object(tmp_path: Path) -> None:
    patches = {
        '{op: "replace", path: "/kind", value: "Secret"}': 0,
        '{op: "replace", path: "/apiVersion", value: "v2"}': 0,
        '{op: "remove", path: "/metadata"}': 0,
        '{op: "replace", path: "/metadata", value: 1}': 403,
        '{op: "replace", path: "/data", value: [1]}': 403,
        '{op: "replace", path: "", value: "x"}': 403,
        '{op: "add", path: "/nope", value: 1}': 403,
        '{op: "nope", path: "/data", value: 1}': 403,
        '{op: "add", path: "/metadata/namespace", value: "other"}': 0,
        '{op: "add", path: "/metadata/uid", value: "u"}': 0,
        '{op: "add", path: "/metadata/managedFields", value: [1]}': 403,
        '{op: "add", path: "/metadata/labels", value: {"a": 1}}': 403,
        '{op: "add", path: "/metadata/name", value: "bad name"}': 422,
        '{op: "add", path: "/data/x", value: [b"x"]}': 403,
        '{op: "add", path: "/data/x", value: {1: "x"}}': 403,
    }

    async def story(api: Api) -> None:
        await bound(api, applied("Object{}"))
        path = f"{GROUP}/mutatingadmissionpolicies/p"
        for number, (operation, wanted) in enumerate(patches.items()):
            spec = {"spec": {"mutations": [patched(f"[JSONPatch{operation}]")]}}
            written, told = await api("PATCH", path, spec, MERGE)
            assert written == 200, told
            status, answer = await api("POST", CONFIG_MAPS, config_map(f"c{number}", k="v"))
            assert status < 500, (operation, answer)
            if wanted:
                assert status == wanted, (operation, answer)
            if status == 201:
                assert answer["kind"] == "ConfigMap", operation
                assert answer["metadata"]["namespace"] == "default", operation
                assert answer["metadata"]["uid"] != "u", operation
            status, answer = await api("GET", "/api/v1/configmaps")
            assert all(one["metadata"]["namespace"] != "other" for one in answer["items"])

    tell(tmp_path, story)
