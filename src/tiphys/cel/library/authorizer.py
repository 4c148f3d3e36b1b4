"""Questions to the authorizer of a request. Who evaluates says who answers.

Upstream: apiserver/pkg/cel/library/authz.go.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final

from tiphys.api import names
from tiphys.cel import types
from tiphys.cel.declarations import Library
from tiphys.cel.errors import EvaluationError
from tiphys.cel.types import Type

_GROUP: Final = "kubernetes.authorization"
AUTHORIZER: Final = types.struct(f"{_GROUP}.Authorizer")
PATH_CHECK: Final = types.struct(f"{_GROUP}.PathCheck")
GROUP_CHECK: Final = types.struct(f"{_GROUP}.GroupCheck")
RESOURCE_CHECK: Final = types.struct(f"{_GROUP}.ResourceCheck")
DECISION: Final = types.struct(f"{_GROUP}.Decision")
_TABLE: Final = """
path         authorizer_path            @Authorizer.(string) -> @PathCheck
group        authorizer_group           @Authorizer.(string) -> @GroupCheck
serviceAccount  authorizer_serviceaccount  @Authorizer.(string, string) -> @Authorizer
resource     groupcheck_resource        @GroupCheck.(string) -> @ResourceCheck
subresource  resourcecheck_subresource  @ResourceCheck.(string) -> @ResourceCheck
namespace    resourcecheck_namespace    @ResourceCheck.(string) -> @ResourceCheck
name         resourcecheck_name         @ResourceCheck.(string) -> @ResourceCheck
check        pathcheck_check            @PathCheck.(string) -> @Decision
check        resourcecheck_check        @ResourceCheck.(string) -> @Decision
errored      decision_errored           @Decision.() -> bool
error        decision_error             @Decision.() -> string
allowed      decision_allowed           @Decision.() -> bool
reason       decision_reason            @Decision.() -> string
fieldSelector  authorizer_fieldselector  @ResourceCheck.(string) -> @ResourceCheck
labelSelector  authorizer_labelselector  @ResourceCheck.(string) -> @ResourceCheck
""".replace("@", f"{_GROUP}.")


@dataclass(frozen=True, slots=True)
class Decision:
    cel_type: ClassVar[Type] = DECISION
    is_allowed: bool
    reason: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: a path, or a resource. `service_account` is (namespace, name) or nothing."""

    cel_type: ClassVar[Type] = RESOURCE_CHECK
    ask: Callable[["Question"], Decision]
    service_account: tuple[str, str] = ("", "")
    path: str = ""
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    field_selector: str = ""
    label_selector: str = ""
    verb: str = ""


@dataclass(frozen=True, slots=True)
class Authorizer:
    """Begins questions."""

    cel_type: ClassVar[Type] = AUTHORIZER
    question: Question


@dataclass(frozen=True, slots=True)
class PathCheck:
    cel_type: ClassVar[Type] = PATH_CHECK
    question: Question


@dataclass(frozen=True, slots=True)
class GroupCheck:
    cel_type: ClassVar[Type] = GROUP_CHECK
    question: Question


def authorizer_of(ask: Callable[[Question], Decision]) -> Authorizer:
    return Authorizer(Question(ask))


def request_resource_of(ask: Callable[[Question], Decision], **fields: Any) -> Question:
    """A question of the resource that a request is for."""
    return replace(Question(ask), **fields)


def _path(one: Authorizer, path: str) -> PathCheck:
    if not path.strip():
        raise EvaluationError("path must not be empty")
    return PathCheck(replace(one.question, path=path))


def _group(one: Authorizer, group: str) -> GroupCheck:
    return GroupCheck(replace(one.question, group=group))


def _service_account(one: Authorizer, namespace: str, name: str) -> Authorizer:
    if names.name_is_dns_subdomain(name, False):
        raise EvaluationError("Invalid service account name")
    if names.dns_label(namespace):
        raise EvaluationError("Invalid service account namespace")
    return Authorizer(replace(one.question, service_account=(namespace, name)))


def _resource(one: GroupCheck, resource: str) -> Question:
    if not resource.strip():
        raise EvaluationError("resource must not be empty")
    return replace(one.question, resource=resource)


def _with(field: str) -> Callable[[Question, str], Question]:
    def narrowed(one: Question, value: str) -> Question:
        changes: dict[str, Any] = {field: value}
        return replace(one, **changes)

    return narrowed


def _check(one: Any, verb: str) -> Decision:
    question: Question = one if isinstance(one, Question) else one.question
    return question.ask(replace(question, verb=verb))


LIBRARY: Final = Library(
    _TABLE,
    {
        "authorizer_path": _path,
        "authorizer_group": _group,
        "authorizer_serviceaccount": _service_account,
        "groupcheck_resource": _resource,
        "resourcecheck_subresource": _with("subresource"),
        "resourcecheck_namespace": _with("namespace"),
        "resourcecheck_name": _with("name"),
        "pathcheck_check": _check,
        "resourcecheck_check": _check,
        "decision_errored": lambda one: bool(one.error),
        "decision_error": lambda one: one.error,
        "decision_allowed": lambda one: one.is_allowed,
        "decision_reason": lambda one: one.reason,
        "authorizer_fieldselector": _with("field_selector"),
        "authorizer_labelselector": _with("label_selector"),
    },
    {one.name: one for one in (AUTHORIZER, PATH_CHECK, GROUP_CHECK, RESOURCE_CHECK, DECISION)},
)
