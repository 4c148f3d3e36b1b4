"""The variables that expressions of a policy see of one request.

Upstream: apiserver/pkg/admission/plugin/cel/activation.go, condition.go (CreateAdmissionRequest,
CreateNamespaceObject).
"""

from collections.abc import Callable
from typing import Any, Final

from tiphys.api.meta import Obj
from tiphys.apiserver.admission.chain import Write
from tiphys.apiserver.filters.authorization import Attributes, RbacAuthorizer
from tiphys.apiserver.policies.matching import Subject
from tiphys.apiserver.user import User, service_account_name
from tiphys.cel.errors import EvaluationError
from tiphys.cel.library.authorizer import (
    Decision,
    Question,
    authorizer_of,
    request_resource_of,
)
from tiphys.cel.library.times import parsed_timestamp
from tiphys.cel.policy_environment import REQUEST_RESOURCE

_NAMESPACE_FIELDS: Final = (
    "name", "generateName", "namespace", "uid", "resourceVersion", "generation",
    "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "labels", "annotations",
    "finalizers",
)  # fmt: skip
_TIMES: Final = ("creationTimestamp", "deletionTimestamp", "lastTransitionTime")


def variables_of(
    write: Write,
    subject: Subject,
    version: str,
    namespace: Obj | None,
    authorizer: RbacAuthorizer,
) -> dict[str, Any]:
    """`version`: the one in which the policy wants to see the object."""
    ask = _asker(write.user, authorizer)
    resource = {
        "group": subject.group,
        "resource": subject.resource,
        "subresource": subject.subresource,
        "namespace": subject.namespace,
        "name": subject.name,
    }
    return {
        "object": shown_object(write, write.obj, version),
        "oldObject": shown_object(write, write.old, version),
        "request": _request(write, subject, version),
        "namespaceObject": _namespace(namespace),
        "authorizer": authorizer_of(ask),
        REQUEST_RESOURCE: request_resource_of(ask, **resource),
    }


def shown_object(write: Write, obj: Obj | None, version: str) -> Obj | None:
    """As expressions see it in a version; what a subresource takes is of its own kind."""
    if obj is None:
        return None
    kind = _kind(write, version)
    return {**kind, **{key: value for key, value in obj.items() if key not in kind}}


def _kind(write: Write, version: str) -> dict[str, str]:
    own = write.obj or write.old or {}
    if write.info.subresource and own.get("kind", write.kind) != write.kind:
        return {"apiVersion": own["apiVersion"], "kind": own["kind"]}
    group = write.info.group
    return {"apiVersion": f"{group}/{version}" if group else version, "kind": write.kind}


def _request(write: Write, subject: Subject, version: str) -> Obj:
    """Without what is empty, as JSON leaves it out."""
    info = write.info
    shown = _kind(write, version)
    group, _, kind_version = shown["apiVersion"].rpartition("/")
    kind = {"group": group, "version": kind_version, "kind": shown["kind"]}
    resource = {"group": info.group, "version": version, "resource": info.resource}
    asked = {"version": info.version}
    asked_kind = asked if shown["kind"] == write.kind else {}
    request = {
        "kind": kind,
        "resource": resource,
        "subResource": info.subresource,
        "requestKind": kind | asked_kind,
        "requestResource": resource | asked,
        "requestSubResource": info.subresource,
        "name": subject.name,
        "namespace": subject.namespace,
        "operation": write.operation,
    }
    found: Obj = {key: value for key, value in request.items() if value}
    return found | {
        "userInfo": write.user.to_obj(),
        "dryRun": write.is_dry_run,
        "options": write.options or {},
    }


def _namespace(namespace: Obj | None) -> Obj | None:
    if namespace is None:
        return None
    metadata = namespace["metadata"]
    shown = {key: metadata[key] for key in _NAMESPACE_FIELDS if key in metadata}
    status = dict(namespace.get("status") or {})
    if "conditions" in status:
        status["conditions"] = [_timed(one) for one in status["conditions"] or ()]
    spec = namespace.get("spec") or {}
    return {"metadata": _timed(shown), "spec": spec, "status": status}


def _timed(obj: Obj) -> Obj:
    made = dict(obj)
    for field in _TIMES:
        if isinstance(made.get(field), str):
            try:
                made[field] = parsed_timestamp(made[field])
            except EvaluationError:
                del made[field]
    return made


def _asker(user: User, authorizer: RbacAuthorizer) -> Callable[[Question], Decision]:
    def ask(question: Question) -> Decision:
        who = user
        namespace, name = question.service_account
        if name:
            groups = (
                *("system:serviceaccounts", f"system:serviceaccounts:{namespace}"),
                "system:authenticated",
            )
            who = User(service_account_name(namespace, name), groups)
        found = authorizer.decide(
            who,
            Attributes(
                question.verb,
                question.group,
                question.resource,
                question.subresource,
                question.namespace,
                question.name,
                question.path,
            ),
        )
        return Decision(found.allowed, found.reason)

    return ask
