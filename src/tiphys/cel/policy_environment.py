"""What expressions of admission policies may speak of.

Objects are not typed: of which kind they are is known only when a request comes.
Upstream: apiserver/pkg/admission/plugin/cel/compile.go, pkg/cel/mutation.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final

from tiphys.cel import types
from tiphys.cel.environment import Environment, Fields, Structs, base
from tiphys.cel.library.authorizer import AUTHORIZER, RESOURCE_CHECK
from tiphys.cel.types import DYN, STRING, Type, list_of, map_of, struct

VARIABLES: Final = "kubernetes.variables"
OBJECT, JSON_PATCH = "Object", "JSONPatch"
REQUEST_RESOURCE: Final = "authorizer.requestResource"
_STRINGS: Final = list_of(STRING)
_KIND, _RESOURCE = "kubernetes.GroupVersionKind", "kubernetes.GroupVersionResource"


def _fields(text: str, **more: Type) -> Fields:
    """Strings, unless said otherwise."""
    return dict.fromkeys(text.split(), STRING) | more


_KNOWN: Final[Mapping[str, Fields]] = {
    _KIND: _fields("group version kind"),
    _RESOURCE: _fields("group version resource"),
    "kubernetes.UserInfo": _fields("username uid", groups=_STRINGS, extra=map_of(STRING, _STRINGS)),
    "kubernetes.AdmissionRequest": _fields(
        "subResource requestSubResource name namespace operation",
        kind=struct(_KIND),
        resource=struct(_RESOURCE),
        requestKind=struct(_KIND),
        requestResource=struct(_RESOURCE),
        userInfo=struct("kubernetes.UserInfo"),
        dryRun=types.BOOL,
        options=DYN,
    ),
    "kubernetes.NamespaceSpec": {"finalizers": _STRINGS},
    "kubernetes.NamespaceCondition": _fields(
        "status type message reason", lastTransitionTime=types.TIMESTAMP
    ),
    "kubernetes.NamespaceStatus": _fields(
        "phase", conditions=list_of(struct("kubernetes.NamespaceCondition"))
    ),
    "kubernetes.NamespaceMetadata": _fields(
        "name generateName namespace UID resourceVersion",
        labels=map_of(STRING, STRING),
        annotations=map_of(STRING, STRING),
        creationTimestamp=types.TIMESTAMP,
        deletionTimestamp=types.TIMESTAMP,
        deletionGracePeriodSeconds=types.INT,
        generation=types.INT,
        finalizers=_STRINGS,
    ),
    "kubernetes.Namespace": {
        "metadata": struct("kubernetes.NamespaceMetadata"),
        "spec": struct("kubernetes.NamespaceSpec"),
        "status": struct("kubernetes.NamespaceStatus"),
    },
}
_PATCH: Final[Fields] = _fields("op path from", value=DYN)
# What a variable may be of beside lists and maps; anything else is not typed.
_PLAIN: Final = frozenset({
    types.BOOL, types.BYTES, types.DOUBLE, types.DURATION, types.INT, types.NULL, STRING,
    types.TIMESTAMP, types.UINT,
})  # fmt: skip


class _AnyFields(Mapping[str, Type]):
    """Every field there can be, of any type."""

    def __getitem__(self, key: str) -> Type:
        return DYN

    def __contains__(self, key: object) -> bool:
        return True

    def get(self, key: str, default: object = None) -> Type:
        return DYN

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


_ANY: Final = _AnyFields()


class PolicyStructs(Structs):
    """The request, the namespace, and the policy's variables; patches where they may be made."""

    def __init__(self, variables: Fields, *, has_patches: bool) -> None:
        super().__init__(_KNOWN)
        self._variables = variables
        self._has_patches = has_patches

    def fields(self, name: str) -> Fields | None:
        if name == VARIABLES:
            return self._variables
        if self._has_patches:
            if name == JSON_PATCH:
                return _PATCH
            if name == OBJECT or name.startswith(f"{OBJECT}."):
                return _ANY
        return super().fields(name)


def policy_environment(
    *,
    has_params: bool,
    has_authorizer: bool = True,
    variables: Fields | None = None,
    has_patches: bool = False,
) -> Environment:
    """`variables` are looked up while expressions are compiled: more may be added in between.

    None where expressions may not speak of them.
    """
    environment = _declared(has_params, has_authorizer)
    if variables is not None:
        environment = environment.with_variables({"variables": struct(VARIABLES)})
    return environment.with_structs(PolicyStructs(variables or {}, has_patches=has_patches))


@lru_cache(maxsize=4)
def _declared(has_params: bool, has_authorizer: bool) -> Environment:
    known: dict[str, Type] = {
        "object": DYN,
        "oldObject": DYN,
        "namespaceObject": struct("kubernetes.Namespace"),
        "request": struct("kubernetes.AdmissionRequest"),
    }
    if has_params:
        known["params"] = DYN
    if has_authorizer:
        known |= {"authorizer": AUTHORIZER, REQUEST_RESOURCE: RESOURCE_CHECK}
    return base().with_variables(known)


def variable_type(result: Type) -> Type:
    """What is known of a variable whose expression has this type."""
    if result in _PLAIN:
        return result
    if result.kind == types.LIST_KIND:
        return list_of(variable_type(result.params[0]))
    if result.kind == types.MAP_KIND:
        return map_of(variable_type(result.params[0]), variable_type(result.params[1]))
    return DYN
