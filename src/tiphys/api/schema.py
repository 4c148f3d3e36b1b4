"""The schema of every built-in type: fields, list and merge semantics, protobuf numbers.

One table drives decoding, unknown fields, patching, protobuf and OpenAPI. Format of schema.txt:

    @@group.version                  what follows belongs to this group (upstream's package)
    Name* field:type... @9 field:... fields in protobuf order; @n sets the next number;
                                     `*` = has apiVersion and kind; `^` = atomic as a whole
    <Name>                           a struct whose fields appear in place (Go embedding)
    type     s i l b y e scalars (string int32 int64 bool bytes double), T Time, U MicroTime,
             Q Quantity, I IntOrString, R RawExtension, J any JSON (JSON, FieldsV1), M ObjectMeta,
             L ListMeta, A B C JSONSchemaPropsOr{Array,Bool,StringArray}, or a type's name
    [ {      list, map (to)          /Name   the Go name of the value's type
    ! required   * pointer   + always written   - omitted when empty   & omitted when zero
    ^ atomic   # granular map   % set   %a,b map keyed by
    ~m ~r ~p patch strategy   ~= ~:key patch merge key

Upstream: staging/src/k8s.io/api/*/types.go (tags), generated.proto.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Final

SCALARS: Final = "silbye"
_SHORT_REFS: Final = {"M": "meta.v1.ObjectMeta", "L": "meta.v1.ListMeta"}
_STRATEGIES: Final = {"m": "merge", "r": "retainKeys", "p": "replace"}
_FIELD: Final = re.compile(
    r"(?P<name>[^:]+):(?P<container>[\[{]*)(?P<type>[A-Za-z0-9.]+)(?:/(?P<go>\w+))?"
    r"(?P<flags>[!*+\-&#^]*)(?:%(?P<keys>[\w,]*))?(?:~(?P<patch>[mrp]*)(?P<merge>=|:\w+)?)?$"
)


@dataclass(frozen=True, slots=True)
class Field:
    """One field. `kind` is a letter of the format, or "" where `ref` names a type."""

    name: str
    number: int
    kind: str
    ref: str = ""
    container: str = ""  # "", "list", "map" or "map of list".
    go_name: str = ""  # The name of the value's Go type where it is not the kind's own.
    required: bool = False
    pointer: bool = False
    omit_empty: bool = True  # Go leaves an empty value out.
    omit_zero: bool = False  # Go leaves a zero struct out.
    list_type: str = ""  # "", "atomic", "set" or "map" (x-kubernetes-list-type).
    map_keys: tuple[str, ...] = ()
    patch_strategy: tuple[str, ...] = ()
    patch_merge_key: str = ""
    map_type: str = ""  # "", "atomic" or "granular" (x-kubernetes-map-type).
    embedded: tuple[str, ...] = ()  # Names of the embedded structs that the field came through.


@dataclass(slots=True)
class TypeDef:
    """A type; `fields` holds embedded ones too, `wire` is the order of protobuf."""

    name: str  # "apps.v1.Deployment"
    fields: dict[str, Field] = field(default_factory=dict)
    wire: tuple[tuple[int, "Field | TypeDef"], ...] = ()  # A TypeDef is an embedded struct.
    is_root: bool = False
    atomic: bool = False

    @property
    def short_name(self) -> str:
        return self.name.rpartition(".")[2]

    @property
    def package(self) -> str:
        """`apps.v1`"""
        return self.name.rpartition(".")[0]


class _Types(dict[str, TypeDef]):
    """Types by name, made from their line when first asked for."""

    def __init__(self, lines: Mapping[str, str]) -> None:
        super().__init__()
        self._lines = lines

    def __missing__(self, name: str) -> TypeDef:
        made = self[name] = _parse_type(self, name, self._lines[name])
        return made

    def __contains__(self, name: object) -> bool:
        return name in self._lines

    def __iter__(self) -> Iterator[str]:
        return iter(self._lines)

    def __len__(self) -> int:
        return len(self._lines)


@dataclass(frozen=True, slots=True)
class Schema:
    """All types by full name. Raises KeyError for a name that is not one."""

    types: Mapping[str, TypeDef]

    def of(self, name: str) -> TypeDef | None:
        try:
            return self.types[name]
        except KeyError:
            return None


def load(text: str) -> Schema:
    """Parse the table. Lines are taken apart when their type is first used."""
    lines: dict[str, str] = {}
    package = ""
    for line in text.splitlines():
        if line.startswith("@@"):
            package = line[2:]
        elif line:
            head, _, rest = line.partition(" ")
            name = head.rstrip("*^")
            lines[f"{package}.{name}"] = f"{head[len(name) :]} {rest}"
    return Schema(_Types(lines))


def _parse_type(types: Mapping[str, TypeDef], name: str, line: str) -> TypeDef:
    marks, _, rest = line.partition(" ")
    package = name.rpartition(".")[0]
    made = TypeDef(name, is_root="*" in marks, atomic="^" in marks)
    wire: list[tuple[int, Field | TypeDef]] = []
    number = 0
    for word in rest.split():
        if word[0] == "@":
            number = int(word[1:]) - 1
            continue
        number += 1
        if word[0] == "<":
            embedded = types[f"{package}.{word[1:-1]}"]
            wire.append((number, embedded))
            made.fields.update(
                (f.name, _within(f, embedded.short_name)) for f in embedded.fields.values()
            )
        else:
            parsed = parse_field(package, word, number)
            wire.append((number, parsed))
            made.fields[parsed.name] = parsed
    made.wire = tuple(wire)
    return made


def _within(inner: Field, name: str) -> Field:
    values = {slot: getattr(inner, slot) for slot in Field.__slots__}
    return Field(**values | {"embedded": (name, *inner.embedded)})


_CONTAINERS: Final = {"": "", "[": "list", "{": "map", "{[": "map of list"}


def parse_field(package: str, word: str, number: int) -> Field:
    """One `name:type...` of a line. Raises ValueError."""
    match = _FIELD.match(word)
    if match is None:
        raise ValueError(f"not a field of the schema: {word!r}")
    text, flags, keys = match["type"], match["flags"], match["keys"]
    ref = _SHORT_REFS.get(text, "")
    if not ref and len(text) > 1:
        ref = text if "." in text else f"{package}.{text}"
    required = "!" in flags
    omit_empty = (not required or "-" in flags) and "+" not in flags
    container = _CONTAINERS[match["container"]]
    list_type = "" if keys is None else "map" if keys else "set"
    map_keys = tuple(keys.split(",")) if keys else ()
    merge = match["merge"] or ""
    merge_key = map_keys[0] if merge == "=" and map_keys else merge[1:]
    patch = match["patch"]
    strategy = tuple(_STRATEGIES[c] for c in patch or "")
    if patch is not None and not strategy:
        strategy = ("merge",)
    return Field(
        name=match["name"],
        number=number,
        kind="" if ref else text,
        ref=ref,
        container=container,
        go_name=match["go"] or "",
        required=required,
        pointer="*" in flags,
        omit_empty=omit_empty,
        omit_zero="&" in flags,
        list_type="atomic" if container == "list" and "^" in flags else list_type,
        map_keys=map_keys,
        patch_strategy=strategy,
        patch_merge_key=merge_key,
        map_type=_map_type(container, flags),
    )


def _map_type(container: str, flags: str) -> str:
    if container == "list":
        return ""
    return "granular" if "#" in flags else "atomic" if "^" in flags else ""


SCHEMA: Final = load(resources.files("tiphys.api").joinpath("schema.txt").read_text("utf-8"))
