"""JSON patch (RFC 6902) with the ways of the library that upstream uses.

Indices may be negative and count from the end; `test` of a missing member equals null;
`replace` makes one that is missing, `copy` of one gives null.
Upstream: gopkg.in/evanphx/json-patch.v4.
"""

from collections.abc import Callable
from typing import Any, Final

from tiphys.api.meta import Obj
from tiphys.codec.patch import PatchError

OPERATIONS_MAX: Final = 10_000  # apiserver pkg/server/config.go MaxJSONPatchOperations.
# Bounds what `copy` can make of a small patch; upstream bounds its bytes (3 MiB).
COPIED_VALUES_MAX: Final = 200_000


def apply(document: Obj, patch: Any) -> Obj:
    """A new document. Raises PatchError: 400 for what is no patch, 413 for one too long."""
    if patch is None:
        patch = []
    if not isinstance(patch, list) or not all(isinstance(op, dict) for op in patch):
        raise PatchError("json: cannot unmarshal into Go value of type jsonpatch.Patch", 400)
    if len(patch) > OPERATIONS_MAX:
        raise PatchError(
            f"The allowed maximum operations in a JSON patch is {OPERATIONS_MAX}, got {len(patch)}",
            413,
        )
    state = _State(_copied(document))
    for operation in patch:
        state.apply(operation)
    if not isinstance(state.document, dict):
        raise PatchError("the patched document is not an object")
    return state.document


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _copied(v) for k, v in value.items()}
    return [_copied(v) for v in value] if isinstance(value, list) else value


def _size(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + sum(map(_size, value.values()))
    return 1 + sum(map(_size, value)) if isinstance(value, list) else 1


class _State:
    def __init__(self, document: Any) -> None:
        self.document = document
        self._copied_values = 0

    def apply(self, operation: Obj) -> None:
        name = operation.get("op")
        run = _OPERATIONS.get(name) if isinstance(name, str) else None
        if run is None:
            raise PatchError(f"Unexpected kind: {name or 'unknown'}")
        path = operation.get("path")
        if not isinstance(path, str):
            raise PatchError(f"{name} operation failed to decode path: missing value")
        run(self, operation, path)

    def _parent(self, path: str, name: str) -> tuple[Any, str]:
        """The container that a path's last step is in, and that step."""
        steps = _steps(path)
        here = self.document
        for step in steps[:-1]:
            here = _child(here, step)
            if not isinstance(here, (dict, list)):
                here = None
                break
        if here is None or not steps:
            raise PatchError(
                f'{name} operation does not apply: doc is missing path: "{path}": missing value'
            )
        return here, steps[-1]

    def add(self, operation: Obj, path: str) -> None:
        here, step = self._parent(path, "add")
        _insert(here, step, _copied(operation.get("value")), path)

    def remove(self, _: Obj, path: str) -> None:
        here, step = self._parent(path, "remove")
        _delete(here, step, path)

    def replace(self, operation: Obj, path: str) -> None:
        value = _copied(operation.get("value"))
        if not path:
            self.document = value
            return
        here, step = self._parent(path, "replace")
        _set(here, step, value)  # A missing member is made, as that library does.

    def move(self, operation: Obj, path: str) -> None:
        source = str(operation.get("from", ""))
        here, step = self._parent(source, "move")
        value = _child(here, step)
        _delete(here, step, source)
        target, last = self._parent(path, "move")
        _insert(target, last, value, path)

    def copy(self, operation: Obj, path: str) -> None:
        source = str(operation.get("from", ""))
        here, step = self._parent(source, "copy")
        value = here.get(step) if isinstance(here, dict) else here[_index(here, step)]
        self._copied_values += _size(value)
        if self._copied_values > COPIED_VALUES_MAX:
            raise PatchError(
                "Unable to complete the copy, the accumulated size increase of copy is too large",
                413,
            )
        target, last = self._parent(path, "copy")
        _insert(target, last, _copied(value), path)

    def test(self, operation: Obj, path: str) -> None:
        wanted = operation.get("value")
        if not path:
            found = self.document
        else:
            here, step = self._parent(path, "test")
            found = _child(here, step)
        if not _equal(found, wanted):
            raise PatchError(f"testing value {path} failed: test failed")


_OPERATIONS: Final[dict[str, Callable[[_State, Obj, str], None]]] = {
    "add": _State.add,
    "remove": _State.remove,
    "replace": _State.replace,
    "move": _State.move,
    "copy": _State.copy,
    "test": _State.test,
}


def _steps(path: str) -> list[str]:
    return [s.replace("~1", "/").replace("~0", "~") for s in path.split("/")[1:]]


def _index(here: list[Any], step: str, *, inserting: bool = False) -> int:
    """The position that a step names. Raises PatchError where it names none."""
    try:
        index = int(step)
    except ValueError:
        raise PatchError(f"value was not a proper array index: '{step}'") from None
    size = len(here) + 1 if inserting else len(here)
    if not -size <= index < size:
        raise PatchError(f"Unable to access invalid index: {index}: invalid index referenced")
    return index + size if index < 0 else index


def _child(here: Any, step: str) -> Any:
    if isinstance(here, dict):
        return here.get(step)
    try:
        return here[_index(here, step)]
    except PatchError:
        return None


def _set(here: Any, step: str, value: Any) -> None:
    if isinstance(here, dict):
        here[step] = value
    else:
        here[_index(here, step)] = value


def _insert(here: Any, step: str, value: Any, path: str) -> None:
    if isinstance(here, dict):
        here[step] = value
    elif step == "-":
        here.append(value)
    else:
        try:
            here.insert(_index(here, step, inserting=True), value)
        except PatchError as error:
            raise PatchError(f"error in add for path: '{path}': {error}") from None


def _delete(here: Any, step: str, path: str) -> None:
    if isinstance(here, dict):
        if step not in here:
            raise PatchError(
                f"error in remove for path: '{path}': Unable to remove nonexistent key: {step}: "
                "missing value"
            )
        del here[step]
        return
    try:
        del here[_index(here, step)]
    except PatchError as error:
        raise PatchError(f"error in remove for path: '{path}': {error}") from None


def _equal(found: Any, wanted: Any) -> bool:
    """Equality of JSON: true is not 1."""
    if isinstance(found, bool) or isinstance(wanted, bool):
        return found is wanted
    if isinstance(found, dict) and isinstance(wanted, dict):
        return found.keys() == wanted.keys() and all(_equal(found[k], wanted[k]) for k in found)
    if isinstance(found, list) and isinstance(wanted, list):
        return len(found) == len(wanted) and all(map(_equal, found, wanted))
    return bool(found == wanted)
