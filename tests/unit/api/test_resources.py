import json

from shared import UPSTREAM, needs_shared
from tiphys.api.resources import GROUP_VERSIONS, RESOURCES, by_kind, resource


def test_there_are_68_resources_and_45_subresources() -> None:
    assert len(RESOURCES) == 68
    assert sum(len(r.subresources) for r in RESOURCES) == 45


def test_lookups() -> None:
    deployments = resource("apps", "v1", "deployments")
    assert deployments is not None
    assert by_kind(("apps", "v1", "Deployment")) is deployments
    assert deployments.subresources["scale"].kind == ("autoscaling", "v1", "Scale")
    assert resource("apps", "v1", "nothings") is None


@needs_shared
def test_discovery_of_upstream_says_the_same() -> None:
    for group_version in GROUP_VERSIONS:
        root = f"apis__{group_version.group}" if group_version.group else "api"
        path = UPSTREAM / "discovery" / f"{root}__{group_version.version}.json"
        wanted = {
            r["name"]: (
                r["kind"],
                r["namespaced"],
                tuple(r["verbs"]),
                tuple(r.get("shortNames", ())),
                tuple(r.get("categories", ())),
            )
            for r in json.loads(path.read_text())["resources"]
        }
        found = {}
        for r in RESOURCES:
            if (r.group, r.version) != (group_version.group, group_version.version):
                continue
            found[r.plural] = (r.kind, r.namespaced, r.verbs, r.short_names, r.categories)
            for sub in r.subresources.values():
                found[f"{r.plural}/{sub.name}"] = (sub.kind.kind, r.namespaced, sub.verbs, (), ())
        assert found == wanted
