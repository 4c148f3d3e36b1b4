"""Every GA kind with every field set goes through each encoding and comes back the same."""

import json
from pathlib import Path
from typing import Any

import pytest

from shared import UPSTREAM, needs_shared
from tiphys.codec import json as json_codec
from tiphys.codec import protobuf, yaml
from tiphys.codec.typed import to_typed

pytestmark = needs_shared


def _objects() -> list[Any]:
    found = []
    for path in sorted((UPSTREAM / "api-objects").glob("*.json")):
        obj = json.loads(path.read_text())
        name = protobuf.schema_type(obj.get("apiVersion", ""), obj.get("kind", ""))
        name = "meta.v1.WatchEvent" if path.stem.endswith("WatchEvent") else name
        if name is not None:
            found.append(pytest.param(path, name, id=path.stem))
    return found


@pytest.mark.parametrize(("path", "type_name"), _objects())
def test_round_trip(path: Path, type_name: str) -> None:
    raw = path.read_bytes()
    obj = json_codec.decode(raw)
    default = type_name if "kind" not in obj else ""
    assert json_codec.strict_errors(obj, raw, type_name) == []
    assert to_typed(obj, type_name) == obj
    assert json_codec.decode(json_codec.encode(obj)) == obj
    body = path.with_suffix(".pb").read_bytes()
    assert protobuf.decode_object(body, default) == obj
    assert protobuf.encode_object(obj, default) == body
    text = path.with_suffix(".yaml").read_bytes()
    assert yaml.decode(text) == obj
    assert yaml.encode(obj) == text


def test_there_are_seventy_four() -> None:
    assert len(_objects()) == 74
