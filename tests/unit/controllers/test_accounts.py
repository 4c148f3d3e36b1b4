"""Every controller works as an account that the bootstrap rules give something."""

import ast
from importlib import import_module
from pathlib import Path

import pytest

import tiphys.controllers
from tiphys.apiserver.filters.rbac_bootstrap import bootstrap_objects

SOURCES = Path(tiphys.controllers.__file__).parent
BOUND = {
    subject["name"]
    for kind, objects in bootstrap_objects().items()
    if "binding" in kind.lower()
    for binding in objects
    for subject in binding.get("subjects") or ()
    if subject["kind"] == "ServiceAccount" and subject["namespace"] == "kube-system"
}
BOUND.add("kubelet-serving-approver")  # Where machines may join: cluster/join_addons.py.


def _accounts() -> list[tuple[str, str]]:
    """(module, account) of each `client_for(...)`."""
    found = []
    for path in sorted(SOURCES.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "client_for":
                found += [(path.stem, name) for name in _names(path.stem, node.args[0])]
    return found


def _names(module: str, argument: ast.expr) -> list[str]:
    """A literal, a constant of the module, or `self.name` of its controllers."""
    if isinstance(argument, ast.Constant):
        return [str(argument.value)]
    here = vars(import_module(f"tiphys.controllers.{module}"))
    if isinstance(argument, ast.Name):
        return [str(here[argument.id])]
    classes = [v for v in here.values() if isinstance(v, type) and v.__module__.endswith(module)]
    return [str(c.name) for c in classes if hasattr(c, "name")]


@pytest.mark.parametrize(("module", "account"), _accounts())
def test_an_account_has_rights(module: str, account: str) -> None:
    assert account in BOUND, f"{module} may do nothing"
