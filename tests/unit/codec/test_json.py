import pytest

from oracle import message_of, target_of
from shared import cases, needs_shared
from tiphys.codec.json import decode, encode, strict_errors
from tiphys.codec.json_syntax import syntax_error
from tiphys.codec.typed import DecodeError

_STRICT = "strict decoding error: "


@pytest.mark.parametrize(
    ("raw", "errors"),
    [
        (b'{"metadata":{"name":"a"}}', []),
        (b'{"metadata":{"foo":1},"foo":2}', ["metadata.foo", "foo"]),
        (b'{"spec":{"containers":[{"x":1}]}}', ["spec.containers[0].x"]),
        (b'{"spec":{"volumes":[{"hostPath":{"x":1}}]}}', ["spec.volumes[0].hostPath.x"]),
    ],
)
def test_unknown_fields(raw: bytes, errors: list[str]) -> None:
    wanted = [f'unknown field "{path}"' for path in errors]
    assert strict_errors(decode(raw), raw, "core.v1.Pod") == wanted


def test_duplicates_in_the_order_of_the_document() -> None:
    raw = b'{"kind":"Pod","x":1,"spec":{"a":1,"nodeName":"","nodeName":"b"},"kind":"Pod"}'
    assert strict_errors(decode(raw), raw, "core.v1.Pod") == [
        'unknown field "x"',
        'unknown field "spec.a"',
        'duplicate field "spec.nodeName"',
        'duplicate field "kind"',
    ]


def test_duplicate_keys_of_maps() -> None:
    raw = b'{"data":{"a":"1","a":"2"}}'
    assert strict_errors(decode(raw), raw, "core.v1.ConfigMap") == ['duplicate field "data.a"']
    assert decode(raw) == {"data": {"a": "2"}}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "unexpected end of JSON input"),
        (b"{", "unexpected end of JSON input"),
        (b"kind: x", "invalid character 'k' looking for beginning of value"),
        (b"{'a':1}", "invalid character '\\'' looking for beginning of object key string"),
        (b"- a", "invalid character ' ' in numeric literal"),
        (b'{"a" 1}', "invalid character '1' after object key"),
        (b"{} x", "invalid character 'x' after top-level value"),
        (b"[1 2]", "invalid character '2' after array element"),
        (b"nul1", "invalid character '1' in literal null (expecting 'l')"),
    ],
)
def test_syntax_errors_are_gos(data: bytes, message: str) -> None:
    assert syntax_error(data) == message
    with pytest.raises(DecodeError):
        decode(data)


def test_wrong_utf8_is_replaced() -> None:
    assert decode(b'{"a":"\xff"}') == {"a": "\ufffd"}
    assert encode({"a": "\u00e9"}) == '{"a":"\u00e9"}'.encode()


@needs_shared
def test_strict_validation_finds_what_upstream_finds() -> None:
    wrong = []
    total = 0
    for case in (*cases("protocol/*"), *cases("writes/*")):
        for step in case["steps"]:
            message = message_of(step)
            target = target_of(step["path"])
            body = step.get("body")
            if _STRICT not in message or target is None or step["method"] == "PATCH":
                continue
            if "yaml:" in message or target.subresource not in {"", "status"}:
                continue
            raw = body.encode() if isinstance(body, str) else encode(body)
            total += 1
            found = ", ".join(strict_errors(decode(raw), raw, target.info.schema_type))
            if found != message.partition(_STRICT)[2]:
                wrong.append((case["id"], found, message))
    assert total > 20
    assert wrong == []
