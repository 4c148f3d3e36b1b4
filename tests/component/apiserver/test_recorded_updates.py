"""Updates of workloads and of what is around them, against recorded answers of the real server."""

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import uvloop

from shared import SHARED, cases, needs_shared
from support.api_server import Api, memory_backend, start

pytestmark = needs_shared

# Files -> how many of their cases differ, as docs/differences.md says.
_DIFFERING = {
    "pods": 0,
    "podtemplates": 0,
    "replicationcontrollers": 0,
    "replicasets": 0,
    "deployments": 0,
    "daemonsets": 0,
    "statefulsets": 1,  # Needs what the controller counts.
    "jobs": 0,
    "cronjobs": 0,
    "controllerrevisions": 3,  # Upstream compares the bytes of their data.
    "poddisruptionbudgets": 0,
    "horizontalpodautoscalers": 0,
    "horizontalpodautoscalers-v1": 0,
    "services": 0,
    "endpoints": 0,
    "endpointslices": 0,
    "ingresses": 0,
    "ingressclasses": 0,
    "networkpolicies": 0,
    "ipaddresses": 0,
    "servicecidrs": 0,
    "events": 0,
    "events-events.k8s.io": 0,
}


def _replay() -> Any:
    spec = importlib.util.spec_from_file_location("replay", SHARED / "oracle" / "replay.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


REPLAY = _replay() if SHARED.is_dir() else None


async def _make_namespace(api: Api, name: str) -> None:
    """As controllers leave it."""
    await api("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    where = f"/api/v1/namespaces/{name}/serviceaccounts"
    await api("POST", where, {"metadata": {"name": "default"}})


def _without_status(answer: dict[str, Any]) -> dict[str, Any]:
    """Without what controllers wrote, of which there are none here."""
    body = answer.get("body")
    if not isinstance(body, dict) or body.get("kind") == "Status":
        return answer
    return answer | {"body": {k: v for k, v in body.items() if k != "status"}}


def _is_ours_to_answer(answer: Any, wanted: dict[str, Any]) -> bool:
    """A revision that is no number, an unknown $patch: 500 is its bug (differences.md)."""
    text = answer.get("message", "") if isinstance(answer, dict) else ""
    bugs = ("strconv.ParseUint: parsing", "unknown patch type")
    return wanted.get("status") == 500 and text.startswith(bugs)


async def _differs(api: Api, case: dict[str, Any]) -> list[str]:
    """What is wrong with the answers of a case."""
    assert REPLAY is not None
    picked: dict[str, str] = {}
    wrong: list[str] = []
    for given in case["steps"]:
        text = re.sub(r"\$\{(\w+)\}", lambda m: picked.get(m[1], m[0]), json.dumps(given))
        step = json.loads(text)
        body = step.get("body")
        data = body.encode() if isinstance(body, str) else body
        headers = {k.lower(): v for k, v in step.get("headers", {}).items()}
        status, answer = await api(step["method"], step["path"], data, headers)
        for name, path in step.get("pick", {}).items():
            picked[name] = str(REPLAY.found_at(answer, path))
        wanted = step["expect"]
        if status == 400 and _is_ours_to_answer(answer, wanted):
            continue
        found = {"status": status}
        if "only" not in step:
            found["body"] = REPLAY.reduced(answer, step, status)
        expected = {k: v for k, v in wanted.items() if k in found}
        normal = (REPLAY.normal(_without_status(a), step) for a in (expected, found))
        wrong += REPLAY.differences(*normal, f"{step['method']} {step['path']} ")
    return wrong


def test_updates_answer_as_upstream(tmp_path: Path) -> None:
    wrong: dict[str, dict[str, list[str]]] = {}

    async def story() -> None:
        running, listening = await start(tmp_path, memory_backend())
        api, made = running.client(), set[str]()
        for plural in _DIFFERING:
            for case in cases(f"writes/update-{plural}"):
                namespace = case.get("namespace")
                if namespace and namespace not in made:
                    await _make_namespace(api, namespace)
                    made.add(namespace)
                if found := await _differs(api, case):
                    wrong.setdefault(plural, {})[case["id"]] = found[:2]
        api.http.close()
        await listening.__aexit__()

    uvloop.run(story())
    too_many = {p: found for p, found in wrong.items() if len(found) > _DIFFERING[p]}
    assert not too_many, "\n".join(f"{p} {f}" for p, f in too_many.items())
