"""Lines of the store that no container wrote."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tiphys.api.meta import Obj
from tiphys.logstore import audit_files
from tiphys.logstore.events import source_of, text_of
from tiphys.logstore.index import AUDIT, EVENTS, Source
from tiphys.logstore.record import record, record_of_nanoseconds


def test_a_line_is_one_line() -> None:
    moment = datetime(2026, 1, 31, 10, 0, 0, 5, tzinfo=UTC)
    assert record(moment, "a\nb\r") == b"2026-01-31T10:00:00.000005000Z stdout F a\\nb\\r\n"
    assert record_of_nanoseconds(1_000_000_007, "x").startswith(b"1970-01-01T00:00:01.000000007Z ")


@pytest.mark.parametrize(
    ("event", "text", "source"),
    [
        (
            {
                "type": "Normal",
                "reason": "Scheduled",
                "message": "assigned",
                "reportingComponent": "default-scheduler",
                "involvedObject": {"kind": "Pod", "name": "p", "namespace": "ns", "uid": "u"},
            },
            "Normal Scheduled Pod/p default-scheduler: assigned",
            Source("ns", "p", "u", "", "", EVENTS),
        ),
        (
            {
                "type": "Normal",
                "reason": "Ready",
                "message": "m",
                "source": {"component": "kubelet", "host": "n1"},
                "series": {"count": 3},
                "involvedObject": {"kind": "Node", "name": "n1"},
                "metadata": {"namespace": "default"},
            },
            "Normal Ready Node/n1 kubelet: m (x3)",
            Source("default", "", "", "", "n1", EVENTS),
        ),
    ],
)
def test_events(event: Obj, text: str, source: Source) -> None:
    assert (text_of(event), source_of(event)) == (text, source)


def test_audit_events_have_the_time_of_their_stage() -> None:
    inner = b'{"stageTimestamp":"2000-01-01T00:00:00Z"}'
    first = b'{"requestObject":%b,"stageTimestamp":"2026-01-31T10:00:00.5Z"}' % inner
    found = audit_files.lines(first + b"\n{}\n")
    assert found == (
        b"2026-01-31T10:00:00.500000000Z stdout F "
        + first
        + b"\n1970-01-01T00:00:00.000000000Z stdout F {}\n"
    )


def test_files_are_named_after_their_server(tmp_path: Path) -> None:
    for name in ("m1.log", "m1-2026-01-31T10-00-00.000.log", "other.txt"):
        (tmp_path / name).touch()
    assert {source for source, _ in audit_files.files(tmp_path)} == {
        Source("", "", "", "", "m1", AUDIT)
    }
