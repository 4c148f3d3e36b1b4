"""Label and field selectors of a query, as the watch cache takes them."""

from collections.abc import Mapping
from dataclasses import dataclass

from tiphys.api import fields, labels
from tiphys.api.errors import BadRequest
from tiphys.apiserver.endpoint import Endpoint
from tiphys.apiserver.list_options import ListOptions
from tiphys.storage.watch_cache import Filter, Matches

# `=`: upstream takes an empty field that is empty for no requirement.
_NOTHING = fields.FieldRequirement("", "")
_ALIASES = {("", "pods"): {"spec.host": "spec.nodeName"}}


@dataclass(frozen=True, slots=True)
class Selection:
    """Which objects: a key or a prefix of keys, and a selector where there is one."""

    wanted: Filter
    matches: Matches | None


def select(endpoint: Endpoint, namespace: str, options: ListOptions) -> Selection:
    """Raises BadRequest with upstream's text for a selector that is none, or an unknown field."""
    label = _parse_labels(options.label_selector)
    field = _parse_fields(endpoint, options.field_selector)
    name = field.exact("metadata.name")
    if namespace and name and "/" not in name:
        prefix, exact = endpoint.key(namespace, name), True
    elif not endpoint.info.namespaced and name and "/" not in name:
        prefix, exact = endpoint.key("", name), True
    else:
        prefix, exact = endpoint.collection(namespace), False
    rest = _without_name(field) if exact else field
    if label.is_everything and rest.is_everything:
        return Selection(Filter(prefix, exact), None)
    wanted = Filter(prefix, exact, f"{label}&{rest}")
    return Selection(wanted, _matcher(label, rest))


def _matcher(label: labels.Selector, field: fields.FieldSelector) -> Matches:
    if field.is_everything:
        return lambda found, _: label.matches(found)
    if label.is_everything:
        return lambda _, found: field.matches(found)
    return lambda found, values: label.matches(found) and field.matches(values)


def _without_name(field: fields.FieldSelector) -> fields.FieldSelector:
    """The key already says the name; `metadata.name!=x` or a second name still counts."""
    first = next(r for r in field.requirements if r.field == "metadata.name" and r.equal)
    return fields.FieldSelector(tuple(r for r in field.requirements if r is not first))


def _parse_labels(text: str) -> labels.Selector:
    try:
        return labels.parse(text) if text else labels.EVERYTHING
    except labels.SelectorError as error:
        raise BadRequest(str(error)) from None


def _parse_fields(endpoint: Endpoint, text: str) -> fields.FieldSelector:
    if not text:
        return fields.EVERYTHING
    try:
        selector = fields.parse(text)
    except fields.FieldSelectorError as error:
        raise BadRequest(str(error)) from None
    known: Mapping[str, object] = endpoint.resource.selectable_fields
    aliases = _ALIASES.get((endpoint.info.group, endpoint.info.plural), {})
    found = []
    for requirement in selector.requirements:
        if requirement == _NOTHING:
            continue
        name = aliases.get(requirement.field, requirement.field)
        if name not in known and name not in _always(endpoint):
            raise BadRequest(_unknown(endpoint, requirement.field))
        if endpoint.conversion is not None:
            name = endpoint.conversion.stored_fields.get(name, name)
        found.append(fields.FieldRequirement(name, requirement.value, requirement.equal))
    return fields.FieldSelector(tuple(found))


def _always(endpoint: Endpoint) -> frozenset[str]:
    is_bare = not endpoint.resource.selectable_fields and endpoint.custom is None
    if endpoint.info.namespaced or is_bare:
        return frozenset({"metadata.name", "metadata.namespace"})
    return frozenset({"metadata.name"})


def _unknown(endpoint: Endpoint, name: str) -> str:
    kind = endpoint.info.kind
    if endpoint.custom is not None:
        return f"field label not supported: {name}"
    if kind == "Job":
        return f'field label "{name}" not supported for Job'
    if kind == "ResourceSlice":
        info = endpoint.info
        shown = f"{info.group}/{info.version}, Kind={kind}"
        return f"field label not supported for {shown}: {name}"
    if endpoint.resource.selectable_fields:
        return f"field label not supported: {name}"
    return f'"{name}" is not a known field selector: only "metadata.name", "metadata.namespace"'
