import json
from typing import Any

from shared import UPSTREAM, needs_shared
from tiphys.api.resources import GROUP_VERSIONS, RESOURCES
from tiphys.apiserver.discovery import aggregated, legacy

pytestmark = needs_shared


def _upstream(name: str) -> Any:
    return json.loads((UPSTREAM / "discovery" / f"{name}.json").read_text())


def test_api_versions() -> None:
    assert legacy.api_versions("10.10.10.10:8050") == _upstream("api")


def test_groups() -> None:
    wanted = _upstream("apis")
    ours = {v.api_version for v in GROUP_VERSIONS}
    groups = []
    for group in wanted["groups"]:
        group["versions"] = [v for v in group["versions"] if v["groupVersion"] in ours]
        groups += [group] if group["versions"] else []
    assert legacy.api_group_list(GROUP_VERSIONS)["groups"] == groups
    assert legacy.api_group("apps", GROUP_VERSIONS) == _upstream("apis__apps")
    assert legacy.api_group("nope", GROUP_VERSIONS) is None


def test_resource_lists() -> None:
    for v in GROUP_VERSIONS:
        name = f"apis__{v.group}__{v.version}" if v.group else "api__v1"
        assert legacy.api_resource_list(v.group, v.version, RESOURCES) == _upstream(name)


def test_aggregated() -> None:
    wanted = []
    ours = {v.api_version for v in GROUP_VERSIONS}
    for item in _upstream("aggregated_v2")["items"]:
        name = item["metadata"]["name"]
        item["versions"] = [v for v in item["versions"] if f"{name}/{v['version']}" in ours]
        wanted += [item] if item["versions"] else []
    found = aggregated.group_discovery(GROUP_VERSIONS, RESOURCES)
    assert found["items"] == wanted
    core = aggregated.core_discovery(GROUP_VERSIONS, RESOURCES)["items"]
    assert [i["metadata"] for i in core] == [{}]
    assert len(core[0]["versions"][0]["resources"]) == 17
