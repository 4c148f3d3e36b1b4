"""What the server does to every object's metadata: names, uids, times, and their rules.

Upstream: apiserver pkg/registry/rest/{create,update,meta}.go, apimachinery pkg/api/validation.
"""

import random
from collections.abc import Callable, Iterable
from datetime import datetime
from itertools import accumulate
from typing import Final

from tiphys.api import names
from tiphys.api.errors import BadRequest
from tiphys.api.field_errors import FieldError, forbidden, invalid, required, too_long
from tiphys.api.meta import GroupVersionKind, Obj, rfc3339
from tiphys.api.schema import SCHEMA
from tiphys.apiserver.meta_checks import MetaChecks, meta_checks, wants_qualified_finalizers
from tiphys.apiserver.resources.rules.texts import NOT_NEGATIVE, kube_finalizers

GENERATED_NAME_MAX: Final = 58  # 63 less the suffix; upstream names.maxGeneratedNameLength.
_SUFFIX_ALPHABET: Final = "bcdfghjklmnpqrstvwxz2456789"  # Upstream util/rand: no bad words.
_SUFFIX_LENGTH: Final = 5
ANNOTATIONS_BYTES_MAX: Final = 256 * 1024
_MANAGER_BYTES_MAX: Final = 128  # FieldManagerMaxLength
_SUBRESOURCE_BYTES_MAX: Final = 256
_OWNERS: Final = "metadata.ownerReferences"
OWNER_REFERENCE_FIELDS: Final = ("apiVersion", "kind", "name", "uid")
_TEMPLATE_FIELDS: Final = {"uid": "uID"}
# What a new object's maker cannot say. Source: rest.WipeObjectMetaSystemFields.
SYSTEM_FIELDS: Final = (
    "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink",
)  # fmt: skip
_SERVER_SET: Final = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds")

ValidateName = Callable[[str, bool], list[str]]


def random_suffix(rng: random.Random, length: int = _SUFFIX_LENGTH) -> str:
    """One draw: a generator that asks the kernel takes its time for each."""
    number = rng.randrange(len(_SUFFIX_ALPHABET) ** length)
    letters = []
    for _ in range(length):
        number, letter = divmod(number, len(_SUFFIX_ALPHABET))
        letters.append(_SUFFIX_ALPHABET[letter])
    return "".join(letters)


def new_uid(rng: random.Random) -> str:
    """A random UUID (version 4), without a detour by way of uuid.UUID."""
    text = f"{rng.getrandbits(128):032x}"
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"


def fill_on_create(
    obj: Obj, namespace: str, *, namespaced: bool, now: datetime, rng: random.Random
) -> None:
    """Give a new object its name, namespace, uid and time. Raises BadRequest."""
    metadata = obj["metadata"]
    set_namespace(metadata, namespace, namespaced=namespaced)
    generate_name = metadata.get("generateName", "")
    if generate_name and not metadata.get("name"):
        metadata["name"] = generated_name(obj, rng)
    for field in ("deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"):
        metadata.pop(field, None)
    metadata["uid"] = new_uid(rng)
    metadata["creationTimestamp"] = rfc3339(now)
    drop_empty(metadata)


def generated_name(obj: Obj, rng: random.Random) -> str:
    """The object's generateName with a random end."""
    return str(obj["metadata"]["generateName"])[:GENERATED_NAME_MAX] + random_suffix(rng)


def set_namespace(metadata: Obj, namespace: str, *, namespaced: bool) -> None:
    """The object's namespace is the request's. Raises BadRequest when it says another."""
    if not namespaced:
        metadata.pop("namespace", None)
        return
    if metadata.get("namespace", "") not in ("", namespace):  # What is applied may be anything.
        raise BadRequest(
            "the namespace of the provided object does not match the namespace sent on the request"
        )
    metadata["namespace"] = namespace


def fill_on_update(new: Obj, old: Obj) -> None:
    """What a client left out stays as it was; what it changed is for validation to judge."""
    metadata, before = new["metadata"], old["metadata"]
    for field in _SERVER_SET:
        if field in before and not metadata.get(field):
            metadata[field] = before[field]
    if "creationTimestamp" in before:
        metadata["creationTimestamp"] = before["creationTimestamp"]
    if "generation" in before:
        metadata["generation"] = before["generation"]
    else:
        metadata.pop("generation", None)
    drop_empty(metadata)


def drop_empty(metadata: Obj) -> None:
    """Empty maps, lists and texts are not written (Go's omitempty)."""
    for name in [k for k, v in metadata.items() if v in (None, "", {}, [])]:
        del metadata[name]


def validate_meta(obj: Obj, *, namespaced: bool, validate_name: ValidateName) -> list[FieldError]:
    """Upstream ValidateObjectMetaAccessor."""
    metadata = obj["metadata"]
    errors: list[FieldError] = []
    generate_name = metadata.get("generateName")
    if generate_name:
        errors += [
            invalid("metadata.generateName", generate_name, text)
            for text in validate_name(generate_name, True)
        ]
    name = metadata.get("name", "")
    if not name:
        errors.append(required("metadata.name", "name or generateName is required"))
    else:
        errors += [invalid("metadata.name", name, text) for text in validate_name(name, False)]
    if namespaced:
        namespace = metadata.get("namespace", "")
        errors += [
            invalid("metadata.namespace", namespace, text) for text in names.dns_label(namespace)
        ]
    generation = metadata.get("generation", 0)
    if generation < 0:
        errors.append(invalid("metadata.generation", generation, NOT_NEGATIVE))
    errors += validate_labels(metadata.get("labels") or {})
    errors += validate_annotations(metadata.get("annotations") or {})
    errors += validate_owners(metadata.get("ownerReferences") or [])
    errors += validate_finalizers(metadata.get("finalizers") or [])
    return errors + validate_managed_fields(metadata.get("managedFields") or ())


def validate_labels(labels: dict[str, str], path: str = "metadata.labels") -> list[FieldError]:
    errors: list[FieldError] = []
    for key, value in sorted(labels.items()):
        errors += [invalid(path, key, text) for text in names.qualified_name(key)]
        errors += [invalid(path, value, text) for text in names.label_value(value)]
    return errors


def validate_annotations(
    annotations: dict[str, str], path: str = "metadata.annotations"
) -> list[FieldError]:
    errors: list[FieldError] = []
    for key in sorted(annotations):
        errors += [invalid(path, key, text) for text in names.qualified_name(key.lower())]
    size = sum(len(k.encode()) + len(v.encode()) for k, v in annotations.items())
    if size > ANNOTATIONS_BYTES_MAX:
        errors.append(
            FieldError(
                "FieldValueTooLong",
                path,
                None,
                f"may not be more than {ANNOTATIONS_BYTES_MAX} bytes",
            )
        )
    return errors


def only_labels_and_annotations(metadata: Obj, path: str) -> list[FieldError]:
    """Of a template's metadata, which upstream names by its own fields' names."""
    return [
        forbidden(f"{path}.{_TEMPLATE_FIELDS.get(field, field)}", "cannot be set")
        for field in SCHEMA.types["meta.v1.ObjectMeta"].fields
        if metadata.get(field) and field not in {"labels", "annotations"}
    ]


def validate_owners(owners: list[Obj]) -> list[FieldError]:
    errors: list[FieldError] = []
    first = ""
    for owner in owners:
        errors += _owner(owner, _OWNERS)
        if not owner.get("controller"):
            continue
        name = f"{owner.get('kind', '')}/{owner.get('name', '')}"
        if first:
            text = (
                "Only one reference can have Controller set to true."
                f' Found "true" in references for {first} and {name}'
            )
            errors.append(invalid(_OWNERS, [_shown_owner(o) for o in owners], text))
        first = first or name
    return errors


def _owner(owner: Obj, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    api_version = owner.get("apiVersion", "")
    if not api_version.rpartition("/")[2] or api_version.count("/") > 1:
        errors.append(invalid(f"{path}.apiVersion", api_version, "version must not be empty"))
    errors += [
        invalid(f"{path}.{field}", "", "must not be empty")
        for field in OWNER_REFERENCE_FIELDS[1:]
        if not owner.get(field)
    ]
    if (api_version, owner.get("kind")) == ("v1", "Event"):
        text = "/v1, Kind=Event is disallowed from being an owner"
        errors.append(invalid(path, _shown_owner(owner), text))
    return errors


def _shown_owner(owner: Obj) -> Obj:
    """In the order of Go's struct, with what is empty."""
    more = {f: owner[f] for f in ("controller", "blockOwnerDeletion") if f in owner}
    return {f: owner.get(f, "") for f in OWNER_REFERENCE_FIELDS} | more


def validate_finalizers(finalizers: list[str]) -> list[FieldError]:
    path = "metadata.finalizers"
    errors: list[FieldError] = []
    for name in finalizers:
        errors += [invalid(path, name, text) for text in names.qualified_name(name)]
    if "orphan" in finalizers and "foregroundDeletion" in finalizers:
        errors.append(
            invalid(
                path,
                finalizers,
                "finalizer orphan and foregroundDeletion cannot be both set",
            )
        )
    return errors


def validate_managed_fields(entries: Iterable[Obj]) -> list[FieldError]:
    """What cannot be read is gone by now: names are left."""
    errors: list[FieldError] = []
    for index, entry in enumerate(entries):
        path = f"metadata.managedFields[{index}]"
        errors += validate_field_manager(entry.get("manager", ""), f"{path}.manager")
        if len(entry.get("subresource", "").encode()) > _SUBRESOURCE_BYTES_MAX:
            errors.append(too_long(f"{path}.subresource", _SUBRESOURCE_BYTES_MAX))
    return errors


def validate_field_manager(manager: str, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if len(manager.encode()) > _MANAGER_BYTES_MAX:
        errors.append(too_long(path, _MANAGER_BYTES_MAX))
    if not manager.isprintable():
        errors += [
            invalid(path, manager, f"invalid character U+{ord(c):04X} (at position {at})")
            for c, at in zip(manager, accumulate(_sizes(manager), initial=0), strict=False)
            if not c.isprintable()
        ]
    return errors


def _sizes(text: str) -> Iterable[int]:
    return (len(c.encode()) for c in text)


def validate_meta_update(new: Obj, old: Obj) -> list[FieldError]:
    """Upstream ValidateObjectMetaAccessorUpdate."""
    metadata, before = new["metadata"], old["metadata"]
    errors: list[FieldError] = []
    if before.get("deletionTimestamp"):
        kept = before.get("finalizers") or []
        added = sorted(set(metadata.get("finalizers") or ()) - set(kept))
        if added:
            texts = ", ".join(f'"{f}"' for f in added)
            errors.append(
                forbidden(
                    "metadata.finalizers",
                    "no new finalizers can be added if the object is being deleted,"
                    f" found new finalizers []string{{{texts}}}",
                )
            )
    errors += [
        invalid(f"metadata.{field}", metadata.get(field, ""), "field is immutable")
        for field in ("name", "namespace", *_SERVER_SET)
        if metadata.get(field, "") != before.get(field, "")
    ]
    errors += validate_labels(metadata.get("labels") or {})
    errors += validate_annotations(metadata.get("annotations") or {})
    errors += validate_owners(metadata.get("ownerReferences") or [])
    return errors + validate_managed_fields(metadata.get("managedFields") or ())


def validate_any_update(new: Obj, old: Obj, *, namespaced: bool) -> list[FieldError]:
    """The rules for metadata that the generic layer checks of every update."""
    errors = validate_meta(new, namespaced=namespaced, validate_name=names.path_segment_name)
    return errors + validate_meta_update(new, old)


def validate_kind_update(
    gvk: GroupVersionKind,
    new: Obj,
    old: Obj,
    *,
    namespaced: bool,
    validate_name: ValidateName,
    is_custom: bool,
    of_status: bool = False,
) -> list[FieldError]:
    """Those that the kind's own rules check again, as often as upstream does."""
    checks = MetaChecks() if is_custom else meta_checks(gvk, of_status=of_status)
    qualified: list[FieldError] = []
    if not is_custom and wants_qualified_finalizers(gvk):
        qualified = kube_finalizers(new)
    change = validate_meta_update(new, old) + qualified
    whole = validate_meta(new, namespaced=namespaced, validate_name=validate_name)
    return change * checks.change + (whole + qualified) * checks.whole
