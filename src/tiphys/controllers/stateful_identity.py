"""What makes a pod of a StatefulSet: its ordinal, name, labels, claims. Pure.

Upstream: pkg/controller/statefulset/stateful_set_utils.go.
"""

import copy
import re
from collections.abc import Mapping
from typing import Final

from tiphys.api.meta import Obj, at, labels_of, metadata, name_of, namespace_of, uid_of
from tiphys.controllers import owners
from tiphys.controllers.pod_control import pod_from_template

POD_NAME_LABEL: Final = "statefulset.kubernetes.io/pod-name"
INDEX_LABEL: Final = "apps.kubernetes.io/pod-index"
REVISION_LABEL: Final = "controller-revision-hash"
_MEMBER: Final = re.compile(r"(.*)-([0-9]+)")


def ordinal_of(pod: Obj) -> int:
    """-1 when the name has none."""
    found = _MEMBER.fullmatch(name_of(pod))
    return int(found[2]) if found else -1


def is_member(stateful_set: Obj, pod: Obj) -> bool:
    found = _MEMBER.fullmatch(name_of(pod))
    return found is not None and found[1] == name_of(stateful_set)


def start_of(stateful_set: Obj) -> int:
    return int(at(stateful_set, "spec", "ordinals", "start", default=0))


def replicas_of(stateful_set: Obj) -> int:
    return int(at(stateful_set, "spec", "replicas", default=1))


def is_wanted(stateful_set: Obj, pod: Obj) -> bool:
    """Whether the ordinal is one of those that spec.replicas asks for."""
    index = ordinal_of(pod) - start_of(stateful_set)
    return 0 <= index < replicas_of(stateful_set)


def revision_of(pod: Obj) -> str:
    return labels_of(pod).get(REVISION_LABEL, "")


def new_pod(stateful_set: Obj, revision: Obj, ordinal: int) -> Obj:
    """The pod of an ordinal, from the template of a ControllerRevision."""
    template = copy.deepcopy(revision["data"]["spec"]["template"])
    template.pop("$patch", None)
    pod = pod_from_template(stateful_set, template)
    described = pod["metadata"]
    described.pop("generateName")
    described["name"] = f"{name_of(stateful_set)}-{ordinal}"
    described["labels"] = dict(described.get("labels") or {}) | {REVISION_LABEL: name_of(revision)}
    pod["spec"]["hostname"] = described["name"]
    if service := at(stateful_set, "spec", "serviceName", default=""):
        pod["spec"]["subdomain"] = service
    return with_identity(stateful_set, pod)


def with_identity(stateful_set: Obj, pod: Obj) -> Obj:
    """The pod with the labels and volumes of its ordinal; equal when nothing was missing."""
    ordinal = ordinal_of(pod)
    marks = {POD_NAME_LABEL: name_of(pod), INDEX_LABEL: str(ordinal)}
    labels = dict(labels_of(pod)) | marks
    spec = dict(pod["spec"])
    if volumes := _volumes(stateful_set, pod):
        spec["volumes"] = volumes
    return {**pod, "metadata": {**metadata(pod), "labels": labels}, "spec": spec}


def _volumes(stateful_set: Obj, pod: Obj) -> list[Obj]:
    have: list[Obj] = at(pod, "spec", "volumes", default=[])
    wanted = claim_names(stateful_set, pod)
    right = {
        v["name"]: v
        for v in have
        if at(v, "persistentVolumeClaim", "claimName") == wanted.get(v["name"])
    }
    added = [
        right.get(t) or {"name": t, "persistentVolumeClaim": {"claimName": name}}
        for t, name in wanted.items()
    ]
    if all(template in right for template in wanted):
        return have
    return [*added, *[v for v in have if v["name"] not in wanted]]


def claim_names(stateful_set: Obj, pod: Obj) -> Mapping[str, str]:
    """Claim name by the template's name."""
    return {
        name_of(t): f"{name_of(t)}-{name_of(stateful_set)}-{ordinal_of(pod)}"
        for t in at(stateful_set, "spec", "volumeClaimTemplates", default=[])
    }


def new_claims(stateful_set: Obj, pod: Obj) -> list[Obj]:
    """The claims of a pod's ordinal."""
    names = claim_names(stateful_set, pod)
    selected = at(stateful_set, "spec", "selector", "matchLabels", default={})
    claims = []
    for template in at(stateful_set, "spec", "volumeClaimTemplates", default=[]):
        described = copy.deepcopy(metadata(template))
        described["labels"] = dict(described.get("labels") or {}) | selected
        described |= {"name": names[name_of(template)], "namespace": namespace_of(stateful_set)}
        claim = {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": described,
            "spec": copy.deepcopy(template["spec"]),
        }
        claims.append(with_owner(claim, stateful_set, pod))
    return claims


def with_owner(claim: Obj, stateful_set: Obj, pod: Obj) -> Obj:
    """The claim owned as the retention policy says: by the set, by a pod that leaves, by none.

    A claim with a controller of somebody else's is left alone.
    """
    have: list[Obj] = metadata(claim).get("ownerReferences") or []
    ours = [r for r in have if _is_ours(r, stateful_set, pod)]
    if any(r.get("controller") for r in have if r not in ours):
        return claim
    others = [r for r in have if r not in ours]
    wanted = _owner(stateful_set, pod)
    references = others if wanted is None else [*others, owners.owner_reference(wanted)]
    if references == have:
        return claim
    described = {k: v for k, v in metadata(claim).items() if k != "ownerReferences"}
    if references:
        described["ownerReferences"] = references
    return {**claim, "metadata": described}


def _is_ours(reference: Obj, stateful_set: Obj, pod: Obj) -> bool:
    return (reference.get("kind"), reference.get("name")) in {
        ("StatefulSet", name_of(stateful_set)),
        ("Pod", name_of(pod)),
    }


def _owner(stateful_set: Obj, pod: Obj) -> Obj | None:
    policy = at(stateful_set, "spec", "persistentVolumeClaimRetentionPolicy", default={})
    if policy.get("whenScaled") == "Delete" and not is_wanted(stateful_set, pod):
        return {"apiVersion": "v1", "kind": "Pod"} | pod
    return stateful_set if policy.get("whenDeleted") == "Delete" else None


def is_stale(claim: Obj, pod: Obj) -> bool:
    """The claim goes away with an earlier pod of the name: a new one must not use it."""
    return any(
        r.get("kind") == "Pod" and r.get("name") == name_of(pod) and r.get("uid") != uid_of(pod)
        for r in metadata(claim).get("ownerReferences") or []
    )
