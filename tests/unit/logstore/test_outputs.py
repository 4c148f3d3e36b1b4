"""Lines as other programs want them, and files of outputs."""

import json
from pathlib import Path
from typing import Any

import cramjam
import pytest

from tiphys.lib.grpc.codec import encode
from tiphys.logstore import loki_protobuf
from tiphys.logstore.index import AUDIT, EVENTS, PODS, PUSHED, Source
from tiphys.logstore.outputs.config import LokiConfig, OutputsError, SyslogConfig, parse
from tiphys.logstore.outputs.loki import nanoseconds, push_body
from tiphys.logstore.outputs.record import Record
from tiphys.logstore.outputs.syslog import message
from tiphys.logstore.push import PushError, loki_batches, node_batches, node_body

POD = Source("ns", "web-1", "u1", "main", "n1")
TIME = "2026-01-31T10:00:00.123456789Z"


def a_record(text: str = "hello", source: Source = POD, **rest: Any) -> Record:
    fields = {"id": "7.0", "time": TIME, "labels": {"app": "web"}, "stream": "stdout"} | rest
    return Record(source=source, text=text, **fields)


def test_loki_gets_streams_of_few_labels() -> None:
    found = json.loads(push_body([a_record("a"), a_record("b")], {"cluster": "c"}))
    assert found == {
        "streams": [
            {
                "stream": {
                    "source": "pods",
                    "namespace": "ns",
                    "pod": "web-1",
                    "container": "main",
                    "node": "n1",
                    "stream": "stdout",
                    "app": "web",
                    "cluster": "c",
                },
                "values": [["1769853600123456789", "a"], ["1769853600123456789", "b"]],
            }
        ]
    }


@pytest.mark.parametrize(
    ("time", "wanted"),
    [
        ("1970-01-01T00:00:01Z", 10**9),
        ("1970-01-01T00:00:00.5Z", 5 * 10**8),
        ("1970-01-01T00:00:00.000000001Z", 1),
    ],
)
def test_nanoseconds(time: str, wanted: int) -> None:
    assert nanoseconds(time) == wanted


@pytest.mark.parametrize(
    ("record", "wanted"),
    [
        (
            a_record(),
            '<14>1 2026-01-31T10:00:00.123456Z n1 main web-1 pods'
            ' [tiphys@32473 id="7.0" namespace="ns" uid="u1"] \ufeffhello',
        ),
        (a_record(stream="stderr"), "<12>1 "),
        (a_record("Warning BackOff", Source("a", "", "", "", "", EVENTS)), "<12>1 "),
        (
            a_record("{}", Source("", "", "", "", "m1", AUDIT)),
            "<110>1 2026-01-31T10:00:00.123456Z m1 audit - audit [",
        ),
        (a_record(id='a"]\\'), '<14>1 2026-01-31T10:00:00.123456Z n1 main web-1 pods'
         ' [tiphys@32473 id="a\\"\\]\\\\" namespace'),
    ],
)  # fmt: skip
def test_syslog_messages(record: Record, wanted: str) -> None:
    count, _, text = message(record).partition(b" ")
    assert int(count) == len(text)
    assert text.decode().startswith(wanted)


def test_what_others_push_is_stored_under_their_labels() -> None:
    labels = {"namespace": "a", "pod": "p", "job": "x"}
    body = {"streams": [{"stream": labels, "values": [["5", "one\ntwo"], ["6", "three", {}]]}]}
    (batch,) = loki_batches(json.dumps(body).encode())
    assert batch.data == (
        b"1970-01-01T00:00:00.000000005Z stdout F one\\ntwo\n"
        b"1970-01-01T00:00:00.000000006Z stdout F three\n"
    )
    assert (batch.source.namespace, batch.source.pod) == ("a", "p")
    assert (batch.source.origin, batch.labels, batch.position) == (PUSHED, labels, None)
    other = {"streams": [{"stream": labels | {"job": "y"}, "values": []}]}
    assert loki_batches(json.dumps(other).encode())[0].source != batch.source


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"{", "is no JSON"),
        (b"[]", "needs streams"),
        (b'{"streams":[{"values":[]}]}', r"streams\[0\].stream: needs labels"),
        (b'{"streams":[{"stream":{"a":1},"values":[]}]}', r"stream.a: is no text"),
        (b'{"streams":[{"stream":{},"values":[["x","y"]]}]}', r"values\[0\]: is not a time"),
        (b'{"streams":[{"stream":{},"values":[["1"]]}]}', r"values\[0\]: is not a time"),
        (b'{"streams":[{"stream":{},"values":[["99999999999999999999999","y"]]}]}', "values"),
    ],
)
def test_pushes_that_are_not_understood(body: bytes, why: str) -> None:
    with pytest.raises(PushError, match=why):
        loki_batches(body)


def test_a_nodes_lines_are_stored_once_and_under_its_name() -> None:
    records = [a_record("a"), a_record("b", id="8.0"), a_record("c", id="8.1", stream="stderr")]
    body = node_body("store", records)
    (batch,) = node_batches("joined", body, lambda _: 0, lambda uid: {"uid": uid})
    assert batch.source == POD._replace(node="joined")
    assert batch.data.splitlines() == [
        f"{TIME} stdout F a".encode(),
        f"{TIME} stdout F b".encode(),
        f"{TIME} stderr F c".encode(),
    ]
    assert batch.labels == {"uid": "u1"}
    assert batch.position is not None
    assert batch.position.offset == 8
    (again,) = node_batches("joined", body, lambda _: 7, lambda uid: {})
    assert again.data.count(b"\n") == 2
    assert node_batches("joined", body, lambda _: 8, lambda uid: {}) == []


@pytest.mark.parametrize(
    "body",
    [
        b"x",
        b"{}",
        b'{"store":"s","records":[["x"]]}',
        b'{"store":"s","records":[["1.0","t t","a","b","c","d","pods","stdout","x"]]}',
        b'{"store":"s","records":[["1.0","t","a","b","c","d","nothing","stdout","x"]]}',
    ],
)
def test_what_no_node_sends(body: bytes) -> None:
    with pytest.raises(PushError):
        node_batches("n", body, lambda _: 0, lambda uid: {})


def test_a_file_of_outputs(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("hunter2")
    text = f"""
outputs:
- name: central
  loki: {{url: "https://loki:3100/loki/api/v1/push", tokenFile: {token}, labels: {{a: b}}}}
- name: sys
  syslog: {{address: "logs.example"}}
  sources: [{PODS}]
"""
    loki, syslog = parse(text.encode())
    assert isinstance(loki.to, LokiConfig)
    assert (loki.to.url, loki.to.labels) == ("https://loki:3100", {"a": "b"})
    assert isinstance(syslog.to, SyslogConfig)
    assert (syslog.to.host, syslog.to.port) == ("logs.example", 6514)
    assert syslog.sources == {PODS}
    assert "hunter2" not in repr(loki)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[", "is no YAML"),
        ("{}", "is not `outputs:`"),
        ("outputs: [{name: a}]", "needs either loki or syslog"),
        ("outputs: [{name: 'a b', syslog: {address: x}}]", "name: letters"),
        ("outputs: [{name: a, syslog: {address: ''}}]", "HOST:PORT is needed"),
        ("outputs: [{name: a, syslog: {address: 'x:y'}}]", "address"),
        ("outputs: [{name: a, syslog: {address: x, port: 1}}]", "syslog.port: unknown field"),
        ("outputs: [{name: a, loki: {url: 'ftp://x'}}]", "an http.s. URL"),
        ("outputs: [{name: a, loki: {url: 'https://u:hunter2@x'}}]", "use tokenFile"),
        ("outputs: [{name: a, loki: {url: 'https://x', caFile: nowhere}}]", "caFile: nowhere"),
        ("outputs: [{name: a, loki: {url: 'https://x'}, sources: [x]}]", "sources: some of"),
        (
            "outputs: [{name: a, syslog: {address: x}}, {name: a, syslog: {address: y}}]",
            "the same name",
        ),
    ],
)
def test_files_that_cannot_be_used(text: str, why: str) -> None:
    with pytest.raises(OutputsError, match=why) as raised:
        parse(text.encode())
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("{}", {}),
        ('{app="x"}', {"app": "x"}),
        ('{app="x", pod = "a\\"b\\\\c\\n", e=""}', {"app": "x", "pod": 'a"b\\c\n', "e": ""}),
        ('{a="}, b="}', {"a": "}, b="}),
    ],
)
def test_labels_as_prometheus_writes_them(text: str, wanted: dict[str, str]) -> None:
    assert loki_protobuf.labels_of(text) == wanted


@pytest.mark.parametrize("text", ["", "app=x", "{app}", "{app=x}", '{app="x" b="y"}', '{1="x"}'])
def test_labels_that_are_none(text: str) -> None:
    with pytest.raises(PushError, match="labels are not"):
        loki_protobuf.labels_of(text)


def test_a_push_in_protobuf() -> None:
    entry = {"timestamp": {"seconds": 5, "nanos": 7}, "line": "one"}
    push = {"streams": [{"labels": '{pod="p"}', "entries": [entry]}]}
    plain = encode(loki_protobuf.schema(), "PushRequest", push)
    body = bytes(cramjam.snappy.compress_raw(plain))
    assert loki_protobuf.document_of(body, 1000) == {
        "streams": [{"stream": {"pod": "p"}, "values": [["5000000007", "one"]]}]
    }
    for wrong in (b"", b"nonsense", bytes(cramjam.snappy.compress_raw(b"\xff" * 9))):
        with pytest.raises(PushError, match="is no snappy"):
            loki_protobuf.document_of(wrong, 1000)
    bomb = bytes(cramjam.snappy.compress_raw(b"\0" * 100_000))
    with pytest.raises(PushError, match="larger than 1000"):
        loki_protobuf.document_of(bomb, 1000)
