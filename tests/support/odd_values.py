"""Values and texts that no client should send, shaped by the schema of the kinds."""

import json
import random
from typing import Any, Final

from tiphys.api.schema import SCHEMA, Field

DEPTH_MAX: Final = 7
WORDS: Final = (
    "", " ", "a", "b", "main", "a.b", "A_B", "-", ".", "..", "*", "a/b", "a/b/c", "../../x", "%s",
    "{{", "$(X)", "(a+)+$", "[", "a=b", ",", "é", "\x00", "\n", "\ud800", "\udfff\ud800",
    "\U0001f600",
    "x" * 64, "x" * 254, "1.2.3.4", "::1", "10.0.0.0/8", "fd00::/200", "999.1.1.1", "0", "-1",
    "1e9",
    "1Ki", "1e1000000", "9" * 60, "0.0000000000000000001", "-0", "1m", "NaN", "true", "null",
    "2020-01-01T00:00:00Z", "2020-13-01T00:00:00Z", "9999-12-31T23:59:60+99:00", "0000-00-00T0",
    "*/5 * * * *", "@every 1s", "0 0 31 2 *", "kubernetes.io/x", "example.com/x", "v1", "apps/v1",
    "Always", "Never", "OnFailure", "TCP", "ClusterIP", "NodePort", "None", "Exists", "In", "Equal",
    "NoSchedule", "RollingUpdate", "Recreate", "Delete", "Retain", "Filesystem", "ReadWriteOnce",
    "cpu", "memory", "requests.cpu", "pods", "app", "kubernetes.io/hostname", "Prefix", "Exact",
    "100%", "50%", "-5%", "1000%", "100", "65536", "http", "system:masters", "Group", "User",
    "ServiceAccount", "rbac.authorization.k8s.io", "Role", "ClusterRole", "object", "string",
    "array",
    "Namespaced", "Cluster", "widgets", "widgets.example.com", "example.com", ".spec.replicas",
    ".metadata['a", "{.a[?(@.b==", "self.x > 0", "^(a|b", "spec.unschedulable", "metadata.name",
)  # fmt: skip
NUMBERS: Final = (
    0, 1, -1, 2, 80, 65535, 65536, 2**31 - 1, 2**31, -(2**31) - 1, 2**53, 2**63 - 1, 2**63, 2**64,
    10**30, 1.5, -0.0, 1e308, 1e-320, 0.1, -1e22,
)  # fmt: skip


def a_word(rng: random.Random) -> str:
    if rng.random() < 0.1:
        return "".join(rng.choices("ab/.-_:=,*%{}[]()\"'\\ \t\x7fé☃0", k=rng.randrange(1, 12)))
    return rng.choice(WORDS)


def any_value(rng: random.Random, depth: int = 0) -> Any:
    """Any JSON value at all."""
    roll = rng.random()
    if depth < 4 and roll < 0.15:
        return [any_value(rng, depth + 1) for _ in range(rng.randrange(4))]
    if depth < 4 and roll < 0.3:
        return {a_word(rng): any_value(rng, depth + 1) for _ in range(rng.randrange(4))}
    if roll < 0.55:
        return a_word(rng)
    if roll < 0.8:
        return rng.choice(NUMBERS)
    return rng.choice((None, True, False, [], {}, [None], {"": None}))


def a_struct(rng: random.Random, type_name: str, depth: int = 0) -> Any:
    """An object of the type with some of its fields, required ones more often."""
    definition = SCHEMA.types[type_name]
    made: dict[str, Any] = {}
    wanted = list(definition.fields.values())
    room = max(1, 4 - depth // 2)
    chosen = [f for f in wanted if f.required and rng.random() < 0.8]
    chosen += rng.sample(wanted, min(len(wanted), rng.randrange(room + 1)))
    for found in chosen:
        if depth < DEPTH_MAX and found.name != "managedFields":
            made[found.name] = _field_value(rng, found, depth)
    if rng.random() < 0.03:
        made[a_word(rng)] = any_value(rng)
    return made


def _field_value(rng: random.Random, field: Field, depth: int) -> Any:
    if rng.random() < 0.06:
        return any_value(rng)
    if field.container == "list":
        return [_one(rng, field, depth) for _ in range(rng.choice((0, 1, 1, 2, 3)))]
    if field.container == "map":
        return {a_word(rng): _one(rng, field, depth) for _ in range(rng.choice((0, 1, 2)))}
    if field.container:
        return {a_word(rng): [a_word(rng)]}
    return _one(rng, field, depth)


def _one(rng: random.Random, field: Field, depth: int) -> Any:
    if rng.random() < 0.04:
        return any_value(rng)
    if field.ref:
        return a_struct(rng, field.ref, depth + 1)
    if field.kind in "il":
        return rng.choice(NUMBERS) if rng.random() < 0.2 else rng.randrange(-2, 90)
    if field.kind == "b":
        return rng.random() < 0.5
    if field.kind == "e":
        return rng.choice(NUMBERS)
    if field.kind == "y":
        return rng.choice(("", "YQ==", "YQ", "!", "////"))
    if field.kind in "RJ":
        return any_value(rng)
    if field.kind in "ABC":
        return rng.choice((True, [], ["a"], {}, [{}], {"type": "string"}, any_value(rng)))
    if field.kind == "I" and rng.random() < 0.5:
        return rng.choice(NUMBERS)
    return a_word(rng)


# --- texts


def as_json(rng: random.Random, value: Any) -> bytes:
    roll = rng.random()
    text = json.dumps(value, separators=(",", ":") if roll < 0.5 else None)
    if roll < 0.03:
        text = text.replace('{"', '{"kind":"Twice","', 1)
    data = text.encode()
    return spoilt(rng, data) if rng.random() < 0.2 else data


def as_yaml(rng: random.Random, value: Any) -> bytes:
    """JSON is YAML; then some of what is YAML only."""
    roll = rng.random()
    data = json.dumps(value).encode()
    if roll < 0.4:
        lines = [f"{k}: {json.dumps(v)}" for k, v in value.items()] if type(value) is dict else []
        lines.insert(rng.randrange(len(lines) + 1), rng.choice(_YAML_LINES))
        data = "\n".join(lines).encode("utf-8", "surrogatepass")
    elif roll < 0.45:
        data = rng.choice(_YAML_BOMBS)
    return spoilt(rng, data) if rng.random() < 0.2 else data


_YAML_LINES: Final = (
    "metadata: {name: a", "? [a, b]\n: c", "<<: *x", "<<: [1, 2]", "a: &a [*a]", "a: &a b\nb: *a",
    "? {a: b}\n: c", "!!python/object:os.system x", "a: !!binary '=='", "a: !!set {a, b}", "---",
    "%YAML 9.9",
    "a: .inf", "a: .nan", "a: 0o17", "a: 1_000", "a: 2020-01-01", "a: 190:20:30", "\ta: b",
    "a: |\n  x\n y",
    "? |\n  block key\n: - one", "1: 2", "null: x", "true: x", "1.5: x", "a: 'unclosed",
    '"\\x0g": 1', "a: b: c",
    "...", "- a", "kind: ConfigMap\nkind: ConfigMap", "a: !x y", "@a: b", "a: *unknown", "=: x",
    "a: !!float 'x'",
    "a: !!int 'x'", "a: !!timestamp '2020-99-99'", "a: !!timestamp 'x'", "a: !!bool x",
    "2020-99-99: a", "a: 2020-99-99",
    "a: !!omap [a: b]", "a: !!pairs [a]", "a: !!null x", "a: 0b2", "a: 0x", "a: " + "9" * 5000,
    "a: 1e9999",
    "a: \ud800", "a: 2001-12-14t21:59:43.10-99:99", "[a, b]: c", "{}: c", "<<: {kind: Twice}",
)  # fmt: skip
_YAML_BOMBS: Final = (
    b"a: &a [x,x,x,x,x,x,x,x,x]\n"
    + b"".join(
        b"%c: &%c [%b]\n" % (98 + n, 98 + n, b",".join([b"*%c" % (97 + n)] * 9)) for n in range(9)
    ),
    b"[" * 3000, b"{a: " * 3000, b"- " * 3000, b"a: &a {<<: *a}", b"? " * 2000, b"&a " * 2000,
    b"a: &x {b: c}\nd: {<<: [" + b"*x," * 5000 + b"*x]}", b"!" * 3000, b"#" * 100_000,
    b"a: " + b"'" * 50_001, b"".join(b"k%d: v\n" % n for n in range(3000)),
)  # fmt: skip


def spoilt(rng: random.Random, data: bytes) -> bytes:
    """Some bytes changed, cut off, doubled."""
    at = rng.randrange(len(data) + 1)
    match rng.randrange(7):
        case 0:
            return data[:at]
        case 1:
            return (
                data[:at]
                + rng.choice((b"\xff", b"\x00", b'"', b"{", b"]", b",", b"\\u"))
                + data[at:]
            )
        case 2:
            return data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]
        case 3:
            return rng.choice((b"\xef\xbb\xbf", b"\xff\xfe", b" ", b"\n\n")) + data
        case 4:
            return data + rng.choice((b"}", b"null", b"\x00", data, b"//x"))
        case 5:
            return data[at:] + data[:at]
    return rng.choice(
        (b"", b"null", b"[]", b"1", b'""', b"nul", b"[" * 5000, b'{"a":' * 5000, b"-", b"1" * 5000,
         b'{"a":1e999}', b'{"a":' + b"9" * 5000 + b"}", b"NaN",
         b'{"metadata":{"name":"a"},"metadata":1}')
    )  # fmt: skip
