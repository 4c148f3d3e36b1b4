"""What a real API server notes of requests: stages, people, objects; no secret by default."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import uvloop

from support.api_server import Api, RunningApiServer, memory_backend, start
from tiphys.apiserver.audit.event import Noted
from tiphys.apiserver.audit.log_file import AuditLogFile, surplus
from tiphys.apiserver.audit.policy import DEFAULT_POLICY, Level, Verdict, load, parse
from tiphys.apiserver.filters.audit import Audit
from tiphys.lib.clock import SystemClock

Story = Callable[[RunningApiServer, Api], Awaitable[None]]
EVERYTHING = b"{apiVersion: audit.k8s.io/v1, kind: Policy, rules: [{level: RequestResponse}]}"
METADATA = b"{apiVersion: audit.k8s.io/v1, kind: Policy, rules: [{level: Metadata}]}"


def told(directory: Path, policy: bytes, story: Story) -> list[Any]:
    """The events of a story."""
    log_file = directory / "audit" / "apiserver.log"

    async def whole() -> None:
        running, listening = await start(directory, memory_backend())
        clock = SystemClock()
        running.server.audit = Audit(parse(policy), AuditLogFile(log_file, clock), clock)
        api = running.client()
        try:
            async with asyncio.timeout(30):
                await story(running, api)
        finally:
            api.http.close()
            await listening.__aexit__()

    uvloop.run(whole())
    return [json.loads(line) for line in log_file.read_text().splitlines()]


def of(events: list[Any], verb: str, resource: str = "", stage: str = "ResponseComplete") -> Any:
    found = [
        e
        for e in events
        if e["verb"] == verb
        and e.get("objectRef", {}).get("resource", "") == resource
        and e["stage"] == stage
    ]
    assert len(found) == 1, found
    return found[0]


def a_config_map(name: str) -> Any:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "b"}}


MAPS = "/api/v1/namespaces/default/configmaps"


def test_a_write_is_told_in_full(tmp_path: Path) -> None:
    async def story(running: RunningApiServer, api: Api) -> None:
        headers = {"audit-id": "my-own-id", "user-agent": "tester/1"}
        status, _ = await api("POST", MAPS, a_config_map("made"), headers)
        assert status == 201

    events = told(tmp_path, EVERYTHING, story)
    assert [e["stage"] for e in events] == ["RequestReceived", "ResponseComplete"]
    event = events[1]
    assert list(event)[:7] == [
        "kind", "apiVersion", "level", "auditID", "stage", "requestURI", "verb"
    ]  # fmt: skip
    assert (event["level"], event["auditID"]) == ("RequestResponse", "my-own-id")
    assert event["requestURI"] == MAPS
    assert event["user"]["username"] == "kubernetes-admin"
    assert "system:masters" in event["user"]["groups"]
    assert (event["sourceIPs"], event["userAgent"]) == (["127.0.0.1"], "tester/1")
    assert event["objectRef"] == {
        "resource": "configmaps",
        "namespace": "default",
        "name": "made",
        "apiVersion": "v1",
    }
    assert event["responseStatus"] == {"metadata": {}, "code": 201}
    assert event["requestObject"]["data"] == {"a": "b"}
    assert event["responseObject"]["metadata"]["uid"]
    assert event["annotations"]["authorization.k8s.io/decision"] == "allow"
    moment = datetime.fromisoformat(event["stageTimestamp"])
    assert moment >= datetime.fromisoformat(event["requestReceivedTimestamp"])
    assert "requestObject" not in events[0]


def test_an_id_that_a_client_chose_is_no_json(tmp_path: Path) -> None:
    async def story(running: RunningApiServer, api: Api) -> None:
        await api("GET", f"{MAPS}/x", None, {"audit-id": 'a","level":"None'})

    events = told(tmp_path, METADATA, story)
    assert {(e["auditID"], e["level"]) for e in events} == {('a","level":"None', "Metadata")}


def test_failures_say_why(tmp_path: Path) -> None:
    async def story(running: RunningApiServer, api: Api) -> None:
        nobody = running.client("nobody")
        assert (await nobody("GET", f"{MAPS}/x"))[0] == 403
        assert (await api("GET", f"{MAPS}/none"))[0] == 404
        assert (await api("DELETE", MAPS, None, {"authorization": "Bearer nonsense"}))[0] != 500
        nobody.http.close()

    events = told(tmp_path, METADATA, story)
    refused = [e for e in events if e["user"].get("username") == "nobody"][-1]
    assert refused["annotations"]["authorization.k8s.io/decision"] == "forbid"
    assert refused["responseStatus"]["code"] == 403
    assert refused["responseStatus"]["reason"] == "Forbidden"
    missing = next(e for e in events if e.get("responseStatus", {}).get("code") == 404)
    assert missing["responseStatus"]["message"] == 'configmaps "none" not found'


def test_those_who_are_not_known_are_noted_too(tmp_path: Path) -> None:
    async def story(running: RunningApiServer, api: Api) -> None:
        unknown = running.client(None)
        status, _ = await unknown("GET", MAPS, None, {"authorization": "Bearer nonsense"})
        assert status == 401
        unknown.http.close()

    events = told(tmp_path, METADATA, story)
    assert [(e["stage"], e["responseStatus"]["code"]) for e in events] == [
        ("ResponseStarted", 401),
        ("ResponseComplete", 401),
    ]
    assert events[0]["user"] == {}


def test_who_acts_as_whom(tmp_path: Path) -> None:
    async def story(running: RunningApiServer, api: Api) -> None:
        await api("GET", MAPS, None, {"impersonate-user": "bob"})

    event = of(told(tmp_path, METADATA, story), "list", "configmaps")
    assert event["user"]["username"] == "kubernetes-admin"
    assert event["impersonatedUser"]["username"] == "bob"
    assert event["annotations"]["authorization.k8s.io/decision"] == "forbid"


def test_a_watch_is_noted_when_it_begins_and_when_it_ends(tmp_path: Path) -> None:
    async def story(running: RunningApiServer, api: Api) -> None:
        path = f"{MAPS}?watch=1&timeoutSeconds=1"
        assert (await api.http.request("GET", path)).status == 200

    events = told(tmp_path, METADATA, story)
    assert [e["stage"] for e in events] == [
        "RequestReceived",
        "ResponseStarted",
        "ResponseComplete",
    ]
    assert {e["auditID"] for e in events} == {events[0]["auditID"]}
    assert of(events, "watch", "configmaps")["responseStatus"]["code"] == 200


def test_a_bug_of_ours_is_a_panic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(running: RunningApiServer, api: Api) -> None:
        def broken(*_: object) -> None:
            raise RuntimeError("a bug")

        monkeypatch.setattr(running.server.documents, "serve", broken)
        assert (await api("GET", "/version"))[0] == 500

    events = told(tmp_path, METADATA, story)
    assert [e["stage"] for e in events] == ["RequestReceived", "Panic"]
    assert events[1]["responseStatus"]["code"] == 500


def test_the_default_policy_shows_no_secret(tmp_path: Path) -> None:
    async def story(running: RunningApiServer, api: Api) -> None:
        secret = a_config_map("s") | {"kind": "Secret", "data": {"password": "aHVudGVyMg=="}}
        assert (await api("POST", "/api/v1/namespaces/default/secrets", secret))[0] == 201
        patch = json.dumps({"data": {"password": "aHVudGVyMw=="}}).encode()
        headers = {"content-type": "application/merge-patch+json"}
        path = "/api/v1/namespaces/default/secrets/s"
        assert (await api("PATCH", path, patch, headers))[0] == 200
        await api("GET", path)
        account = "/api/v1/namespaces/default/serviceaccounts"
        await api("POST", account, {"metadata": {"name": "a"}})
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        status, answer = await api("POST", f"{account}/a/token", body)
        assert status == 201
        tokens.append(answer["status"]["token"])

    tokens: list[str] = []
    events = told(tmp_path, DEFAULT_POLICY.read_bytes(), story)
    text = json.dumps(events)
    assert "aHVudGVy" not in text
    assert tokens[0] not in text
    assert of(events, "patch", "secrets")["objectRef"]["name"] == "s"
    assert "requestObject" in of([e for e in events if e["verb"] == "create"][1:2], "create",
                                 "serviceaccounts")  # fmt: skip


def test_yaml_and_managed_fields(tmp_path: Path) -> None:
    policy = EVERYTHING.replace(b"kind: Policy", b"kind: Policy, omitManagedFields: true")

    async def story(running: RunningApiServer, api: Api) -> None:
        made = a_config_map("y")
        made["metadata"]["managedFields"] = []
        text = json.dumps(made).encode()  # JSON is YAML.
        status, _ = await api("POST", MAPS, text, {"content-type": "application/yaml"})
        assert status == 201

    event = of(told(tmp_path, policy, story), "create", "configmaps")
    assert event["requestObject"]["metadata"] == {"name": "y"}
    assert "managedFields" not in event["responseObject"]["metadata"]


def noted(number: int) -> Noted:
    moment = datetime(2026, 1, 31, tzinfo=UTC)
    verdict = Verdict(Level.METADATA)
    return verdict, b"%d" % number, "Panic", '"verb":"x"', 200, None, None, moment, moment, None, {}


def test_files_are_bounded_and_lines_whole(tmp_path: Path) -> None:
    clock = SystemClock()

    async def story() -> None:
        log_file = AuditLogFile(tmp_path / "a.log", clock, file_bytes_max=3000, files_max=2)
        for number in range(100):
            log_file.write(noted(number))
            if number % 5 == 4:
                log_file.flush()
                await asyncio.sleep(0.002)  # Names of rotated files have milliseconds.
        log_file.close()

    asyncio.run(story())
    files = sorted(tmp_path.glob("a-*.log"))
    assert len(files) == 2
    lines = b"".join(p.read_bytes() for p in [*files, tmp_path / "a.log"]).splitlines()
    numbers = [int(json.loads(line)["auditID"]) for line in lines]
    assert numbers == list(range(numbers[0], 100))
    assert (tmp_path / "a.log").stat().st_mode & 0o077 == 0


def test_old_files_go() -> None:
    now = datetime(2026, 1, 31, tzinfo=UTC)
    old, new = Path("old"), Path("new")
    found = [(old, now.timestamp() - 31 * 86400), (new, now.timestamp())]
    assert surplus(found, 5, now) == [old]


def test_the_policy_is_read_from_its_file() -> None:
    assert load(DEFAULT_POLICY).rules


def test_admission_policies_annotate_events(tmp_path: Path) -> None:
    async def story(running: RunningApiServer, api: Api) -> None:
        group = "/apis/admissionregistration.k8s.io/v1"
        rule = {
            "apiGroups": [""],
            "apiVersions": ["v1"],
            "operations": ["CREATE"],
            "resources": ["configmaps"],
        }
        spec = {
            "matchConstraints": {"resourceRules": [rule]},
            "validations": [{"expression": "true"}, {"expression": "has(object.data.b)"}],
            "auditAnnotations": [
                {"key": "name", "valueExpression": "string(object.metadata.name)"}
            ],
        }
        policy = {"metadata": {"name": "p"}, "spec": spec}
        status, answer = await api("POST", f"{group}/validatingadmissionpolicies", policy)
        assert status == 201, answer["message"]
        bound = {"policyName": "p", "validationActions": ["Audit"]}
        binding = {"metadata": {"name": "b"}, "spec": bound}
        assert (await api("POST", f"{group}/validatingadmissionpolicybindings", binding))[0] == 201
        path = "/api/v1/namespaces/default/configmaps"
        assert (await api("POST", path, a_config_map("c")))[0] == 201

    found = of(told(tmp_path, METADATA, story), "create", "configmaps")["annotations"]
    assert found["p/name"] == "c"
    assert json.loads(found["validation.policy.admission.k8s.io/validation_failure"]) == [
        {
            "message": "failed expression: has(object.data.b)",
            "policy": "p",
            "binding": "b",
            "expressionIndex": 1,
            "validationActions": ["Audit"],
        }
    ]
    assert found["authorization.k8s.io/decision"] == "allow"
