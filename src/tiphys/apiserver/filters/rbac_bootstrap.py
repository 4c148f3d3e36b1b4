"""The roles and bindings of a new cluster, from rbac_bootstrap.txt.

    @clusterroles | @roles | @clusterrolebindings | @rolebindings
    NAME >a <a k=v        a role; > its rules count for the aggregate a; < it is that aggregate
      VERBS GROUPS RESOURCES [=NAMES]      a rule (`-` is the core group)
      VERBS /path...                       a rule for paths
    NAME ROLE U:user G:group S:namespace/name       a binding; NAMESPACE/NAME where it has one

Upstream: plugin/pkg/auth/authorizer/rbac/bootstrappolicy.
"""

from importlib import resources
from typing import Any, Final

from tiphys.api.meta import Obj
from tiphys.apiserver.filters.authorization import RBAC_GROUP

API_VERSION: Final = f"{RBAC_GROUP}/v1"
_KINDS: Final = {
    "clusterroles": "ClusterRole",
    "roles": "Role",
    "clusterrolebindings": "ClusterRoleBinding",
    "rolebindings": "RoleBinding",
}
_SUBJECTS: Final = {"U": "User", "G": "Group"}


RbacObjects = dict[str, list[Obj]]
"""Objects by resource: clusterroles, roles, clusterrolebindings, rolebindings."""


def bootstrap_objects() -> RbacObjects:
    """All objects by resource. Aggregates come with their rules filled in."""
    text = resources.files("tiphys.apiserver.filters").joinpath("rbac_bootstrap.txt")
    found = parse(text.read_text("utf-8"))
    _aggregate(found["clusterroles"])
    return found


def parse(text: str) -> dict[str, list[Obj]]:
    found: dict[str, list[Obj]] = {plural: [] for plural in _KINDS}
    plural = ""
    for line in text.splitlines():
        if line.startswith("@"):
            plural = line[1:]
        elif line.startswith("  "):
            found[plural][-1]["rules"].append(_rule(line.split()))
        elif line and not line.startswith("#"):
            make = _binding if plural.endswith("bindings") else _role
            found[plural].append(make(_KINDS[plural], line.split()))
    return found


def _new(kind: str, name: str) -> Obj:
    namespace, separator, rest = name.partition("/")
    metadata: Obj = {"name": rest if separator else name}
    if separator:
        metadata["namespace"] = namespace
    metadata["labels"] = {"kubernetes.io/bootstrapping": "rbac-defaults"}
    metadata["annotations"] = {"rbac.authorization.kubernetes.io/autoupdate": "true"}
    return {"kind": kind, "apiVersion": API_VERSION, "metadata": metadata}


def _aggregate_label(name: str) -> str:
    return f"{RBAC_GROUP}/aggregate-to-{name}"


def _role(kind: str, words: list[str]) -> Obj:
    obj = _new(kind, words[0])
    for word in words[1:]:
        if word[0] == ">":
            obj["metadata"]["labels"][_aggregate_label(word[1:])] = "true"
        elif word[0] == "<":
            label = {_aggregate_label(word[1:]): "true"}
            obj["aggregationRule"] = {"clusterRoleSelectors": [{"matchLabels": label}]}
        else:
            key, _, value = word.partition("=")
            obj["metadata"]["labels"][key] = value
    obj["rules"] = []
    return obj


def _rule(words: list[str]) -> Obj:
    rule: dict[str, Any] = {"verbs": words[0].split(",")}
    if words[1].startswith("/") or (words[1] == "*" and len(words) == 2):
        return rule | {"nonResourceURLs": words[1:]}
    rule["apiGroups"] = ["" if g == "-" else g for g in words[1].split(",")]
    rule["resources"] = words[2].split(",")
    if len(words) > 3:
        rule["resourceNames"] = words[3].removeprefix("=").split(",")
    return rule


def _binding(kind: str, words: list[str]) -> Obj:
    obj = _new(kind, words[0])
    subjects: list[Obj] = []
    for word in words[2:]:
        letter, _, name = word.partition(":")
        if letter == "S":
            namespace, _, name = name.partition("/")
            subjects.append({"kind": "ServiceAccount", "name": name, "namespace": namespace})
        else:
            kind_of = _SUBJECTS[letter]
            subjects.append({"kind": kind_of, "apiGroup": RBAC_GROUP, "name": name})
    if subjects:
        obj["subjects"] = subjects
    role_kind = "Role" if kind == "RoleBinding" else "ClusterRole"
    obj["roleRef"] = {"apiGroup": RBAC_GROUP, "kind": role_kind, "name": words[1]}
    return obj


def _aggregate(roles: list[Obj]) -> None:
    """What upstream's clusterrole-aggregation controller does at first."""
    for role in roles:
        rule = role.get("aggregationRule")
        if rule is None:
            continue
        [label] = rule["clusterRoleSelectors"][0]["matchLabels"]
        role["rules"] = _aggregated(roles, label)


def _aggregated(roles: list[Obj], label: str) -> list[Obj]:
    rules: list[Obj] = []
    for role in sorted(roles, key=lambda r: str(r["metadata"]["name"])):
        if label not in role["metadata"]["labels"]:
            continue
        nested = role.get("aggregationRule")
        if nested is None:
            own = role["rules"]
        else:
            [inner] = nested["clusterRoleSelectors"][0]["matchLabels"]
            own = _aggregated(roles, inner)
        rules += [r for r in own if r not in rules]
    return rules
