"""Our table of roles and bindings against upstream's golden list."""

from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.gaps import missing
from tiphys.apiserver.filters.rbac_bootstrap import parse

GOLDEN = Path(__file__).parents[4] / "shared" / "data" / "upstream-1.36" / "rbac-bootstrap"
FILES = {
    "clusterroles": ("cluster-roles", "controller-roles"),
    "clusterrolebindings": ("cluster-role-bindings", "controller-role-bindings"),
    "roles": ("namespace-roles",),
    "rolebindings": ("namespace-role-bindings",),
}
VENDOR = "system:openshift:"  # The recorded build is a vendor's.


def key(obj: dict[str, Any]) -> tuple[str, str]:
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


@pytest.mark.shared
@pytest.mark.parametrize("plural", FILES)
def test_same_as_upstream(plural: str) -> None:
    if not GOLDEN.exists():
        missing("the folder of upstream's data is not here")
    text = resources.files("tiphys.apiserver.filters").joinpath("rbac_bootstrap.txt").read_text()
    ours = {key(o): o for o in parse(text)[plural]}
    theirs: dict[tuple[str, str], Any] = {}
    for name in FILES[plural]:
        for obj in yaml.safe_load((GOLDEN / f"{name}.yaml").read_text())["items"]:
            if not obj["metadata"]["name"].startswith(VENDOR):
                if "rules" in obj:
                    obj["rules"] = obj["rules"] or []
                theirs[key(obj)] = obj
    assert ours == theirs
