"""A real API server with admission policies: what they refuse, warn of, and what they see."""

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import orjson

from support.api_server import Api, run_story

GROUP = "/apis/admissionregistration.k8s.io/v1"
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
Story = Callable[[Api], Coroutine[Any, Any, None]]
RULE = {
    "apiGroups": [""],
    "apiVersions": ["v1"],
    "operations": ["CREATE", "UPDATE", "DELETE"],
    "resources": ["configmaps"],
}


def tell(directory: Path, story: Story) -> None:
    run_story(directory, lambda api, running: story(api))


def policy(*validations: dict[str, Any], **more: Any) -> dict[str, Any]:
    spec = {"matchConstraints": {"resourceRules": [RULE]}, "validations": list(validations)}
    return {"metadata": {"name": "p"}, "spec": spec | more}


def binding(*actions: str, **more: Any) -> dict[str, Any]:
    spec = {"policyName": "p", "validationActions": list(actions or ["Deny"])} | more
    return {"metadata": {"name": "b"}, "spec": spec}


async def bound(api: Api, made: dict[str, Any], bound_by: dict[str, Any] | None = None) -> None:
    """From here on the policy is asked."""
    status, answer = await api("POST", f"{GROUP}/validatingadmissionpolicies", made)
    assert status == 201, answer
    path = f"{GROUP}/validatingadmissionpolicybindings"
    status, answer = await api("POST", path, bound_by or binding())
    assert status == 201, answer


def config_map(name: str = "c", **data: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "data": data}


def test_a_policy_refuses(tmp_path: Path) -> None:
    async def story(api: Api) -> None:
        await bound(api, policy({"expression": "object.data.k != 'bad'", "message": "no bad ones"}))
        assert (await api("POST", CONFIG_MAPS, config_map(k="good")))[0] == 201
        status, answer = await api("POST", CONFIG_MAPS, config_map("d", k="bad"))
        text = "ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no bad ones"
        assert status == 422
        assert answer["reason"] == "Invalid"
        assert answer["message"] == f'configmaps "d" is forbidden: {text}'
        assert answer["details"]["causes"] == [{"message": text}]

    tell(tmp_path, story)


def test_a_reason_decides_on_the_code(tmp_path: Path) -> None:
    async def story(api: Api) -> None:
        refused = {"expression": "false", "reason": "Forbidden", "messageExpression": "'no ' + 'x'"}
        await bound(api, policy(refused))
        status, answer = await api("POST", CONFIG_MAPS, config_map())
        assert (status, answer["reason"]) == (403, "Forbidden")
        assert answer["message"].endswith("denied request: no x")

    tell(tmp_path, story)


def test_a_binding_that_only_warns(tmp_path: Path) -> None:
    async def story(api: Api) -> None:
        await bound(api, policy({"expression": "size(object.data) > 3"}), binding("Warn", "Audit"))
        headers = {"content-type": "application/json"}
        body = orjson.dumps(config_map(k="v"))
        answer = await api.http.request("POST", CONFIG_MAPS, headers=headers, body=body)
        assert answer.status == 201
        where = "ValidatingAdmissionPolicy 'p' with binding 'b'"
        text = f"Validation failed for {where}: failed expression: size(object.data) > 3"
        assert text in answer.headers["warning"]

    tell(tmp_path, story)


def test_conditions_variables_and_what_a_request_is(tmp_path: Path) -> None:
    async def story(api: Api) -> None:
        seen = policy(
            {"expression": "variables.big || variables.name == 'small'", "message": "too small"},
            {"expression": "request.operation == 'CREATE' && request.resource.resource =="
             " 'configmaps' && request.namespace == 'default' && request.userInfo.username != ''"},
            {"expression": "oldObject == null && object.kind == 'ConfigMap'"},
            {"expression": "namespaceObject.metadata.name == 'default'"},
            {"expression": "authorizer.group('').resource('configmaps').namespace('default')"
             ".check('create').allowed()"},
            {"expression": "authorizer.requestResource.check('create').allowed()"},
            matchConditions=[{"name": "new", "expression": "request.operation == 'CREATE'"}],
            variables=[
                {"name": "name", "expression": "object.metadata.name"},
                {"name": "big", "expression": "size(object.data) > 1 && variables.name != 'x'"},
            ],
        )  # fmt: skip
        await bound(api, seen)
        status, answer = await api("POST", CONFIG_MAPS, config_map("two", a="1", b="2"))
        assert status == 201, answer
        assert (await api("POST", CONFIG_MAPS, config_map("small", a="1")))[0] == 201
        status, answer = await api("POST", CONFIG_MAPS, config_map("other", a="1"))
        assert answer["message"].endswith("denied request: too small")
        change = {"content-type": "application/merge-patch+json"}
        path = f"{CONFIG_MAPS}/two"
        assert (await api("PATCH", path, {"data": {"b": None}}, change))[0] == 200
        assert (await api("DELETE", path))[0] == 200

    tell(tmp_path, story)


def test_errors_refuse_unless_the_policy_ignores_them(tmp_path: Path) -> None:
    async def story(api: Api) -> None:
        made = policy({"expression": "object.data.nope == 'x'"})
        await bound(api, made)
        status, answer = await api("POST", CONFIG_MAPS, config_map(k="v"))
        assert status == 422
        text = "expression 'object.data.nope == 'x'' resulted in error: no such key: nope"
        assert answer["message"].endswith(f"denied request: {text}")
        patch = {"content-type": "application/merge-patch+json"}
        path = f"{GROUP}/validatingadmissionpolicies/p"
        await api("PATCH", path, {"spec": {"failurePolicy": "Ignore"}}, patch)
        assert (await api("POST", CONFIG_MAPS, config_map(k="v")))[0] == 201

    tell(tmp_path, story)


def test_parameters(tmp_path: Path) -> None:
    async def story(api: Api) -> None:
        made = policy(
            {"expression": "size(object.data) <= int(params.data.max)"},
            paramKind={"apiVersion": "v1", "kind": "ConfigMap"},
        )
        made["spec"]["matchConstraints"]["resourceRules"] = [RULE | {"resources": ["secrets"]}]
        ref = {"name": "limits", "namespace": "default", "parameterNotFoundAction": "Deny"}
        await bound(api, made, binding(paramRef=ref))
        secrets = "/api/v1/namespaces/default/secrets"
        status, answer = await api("POST", secrets, {"metadata": {"name": "s"}})
        assert status == 422
        assert answer["message"].endswith(
            "denied request: failed to configure binding: no params found for policy binding with"
            " `Deny` parameterNotFoundAction"
        )
        await api("POST", CONFIG_MAPS, config_map("limits", max="1"))
        one = {"metadata": {"name": "s"}, "stringData": {"a": "1"}}
        assert (await api("POST", secrets, one))[0] == 201
        two = {"metadata": {"name": "t"}, "stringData": {"a": "1", "b": "2"}}
        assert (await api("POST", secrets, two))[0] == 422

    tell(tmp_path, story)


def test_selectors_decide_where_a_policy_is_asked(tmp_path: Path) -> None:
    async def story(api: Api) -> None:
        match = {"namespaceSelector": {"matchLabels": {"checked": "yes"}}}
        await bound(api, policy({"expression": "false"}), binding(matchResources=match))
        await api("POST", "/api/v1/namespaces", {"metadata": {"name": "free"}})
        labels = {"checked": "yes"}
        await api("POST", "/api/v1/namespaces", {"metadata": {"name": "bound", "labels": labels}})
        free = "/api/v1/namespaces/free/configmaps"
        assert (await api("POST", free, config_map()))[0] == 201
        checked = "/api/v1/namespaces/bound/configmaps"
        assert (await api("POST", checked, config_map()))[0] == 422

    tell(tmp_path, story)


def test_policies_are_never_asked_of_policies(tmp_path: Path) -> None:
    async def story(api: Api) -> None:
        everything = RULE | {"apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"]}
        made = policy({"expression": "false"})
        made["spec"]["matchConstraints"]["resourceRules"] = [everything]
        await bound(api, made)
        assert (await api("POST", CONFIG_MAPS, config_map()))[0] == 422
        assert (await api("DELETE", f"{GROUP}/validatingadmissionpolicies/p"))[0] == 200
        assert (await api("POST", CONFIG_MAPS, config_map()))[0] == 201

    tell(tmp_path, story)


def test_an_expression_that_is_not_valid_is_refused_with_its_place(tmp_path: Path) -> None:
    async def story(api: Api) -> None:
        made = policy({"expression": "object.spec.replicas <"})
        status, answer = await api("POST", f"{GROUP}/validatingadmissionpolicies", made)
        assert status == 422
        cause = answer["details"]["causes"][0]
        assert cause["field"] == "spec.validations[0].expression"
        assert "ERROR: <input>:1:23: Syntax error: mismatched input '<EOF>'" in cause["message"]

    tell(tmp_path, story)


def test_subresources_are_seen_as_what_they_take(tmp_path: Path) -> None:
    async def story(api: Api) -> None:
        made = policy(
            {"expression": "object.kind == 'Scale' && object.apiVersion == 'autoscaling/v1' &&"
             " request.kind.kind == 'Scale' && request.subResource == 'scale'"},
            {"expression": "object.spec.replicas < 5 && oldObject.spec.replicas == 1"},
        )  # fmt: skip
        scaled = {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["UPDATE"]}
        made["spec"]["matchConstraints"] = {
            "resourceRules": [scaled | {"resources": ["deployments/scale"]}]
        }
        await bound(api, made)
        labels = {"app": "x"}
        containers = [{"name": "c", "image": "i"}]
        spec = {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}},
        }
        path = "/apis/apps/v1/namespaces/default/deployments"
        status, answer = await api("POST", path, {"metadata": {"name": "d"}, "spec": spec})
        assert status == 201, answer
        change = {"content-type": "application/merge-patch+json"}
        scale = f"{path}/d/scale"
        status, answer = await api("PATCH", scale, {"spec": {"replicas": 9}}, change)
        assert status == 422
        text = "failed expression: object.spec.replicas < 5 && oldObject.spec.replicas == 1"
        assert answer["message"].endswith(text)
        status, answer = await api("PATCH", scale, {"spec": {"replicas": 3}}, change)
        assert (status, answer["spec"]) == (200, {"replicas": 3})

    tell(tmp_path, story)
