"""How outcomes become verdicts, and what probes ask for."""

import pytest

from tiphys.kubelet.probes.http import headers_of, url_of
from tiphys.kubelet.probes.probe import Outcome, PortError, Target, port_number
from tiphys.kubelet.probes.prober import Kind, Tally, was_so
from unit.kubelet.builders import a_container, a_pod, a_run

WEB = a_container(ports=[{"name": "web", "containerPort": 8080}])


@pytest.mark.parametrize(
    ("outcomes", "wanted"),
    [
        ("f", [None]),
        ("fff", [None, None, "failure"]),
        ("ffsfff", [None, None, None, None, None, "failure"]),
        ("ss", [None, "success"]),
        ("s?s", [None, None, "success"]),
    ],
)
def test_so_many_in_a_row_settle_it(outcomes: str, wanted: list[str | None]) -> None:
    tally = Tally(failures_wanted=3, successes_wanted=2)
    kinds = {"f": Outcome("failure"), "s": Outcome("success"), "?": Outcome("unknown")}
    assert [tally.add(kinds[o]) for o in outcomes] == wanted


def test_ports_have_numbers_or_names() -> None:
    assert [port_number(p, WEB) for p in (80, "81", "web")] == [80, 81, 8080]
    for wrong in ("none", 0, 70000):
        with pytest.raises(PortError):
            port_number(wrong, WEB)


@pytest.mark.parametrize(
    ("action", "ip", "wanted"),
    [
        ({"port": "web"}, "10.0.0.1", "http://10.0.0.1:8080/"),
        ({"port": 1, "path": "x?a=b", "scheme": "HTTPS"}, "::1", "https://[::1]:1/x?a=b"),
        ({"port": 1, "host": "h", "path": "/p"}, "10.0.0.1", "http://h:1/p"),
    ],
)
def test_urls(action: dict[str, object], ip: str, wanted: str) -> None:
    assert url_of(action, Target(a_pod(WEB), WEB, a_run(), ip)) == wanted


def test_own_headers_replace_ours() -> None:
    found = headers_of({"httpHeaders": [{"name": "user-agent", "value": "me"}]})
    assert found == {"Accept": "*/*", "Connection": "close", "user-agent": "me"}


@pytest.mark.parametrize(
    ("kind", "container", "wanted"),
    [
        ("readiness", "id1", True),
        ("startup", "id1", True),
        ("liveness", "id1", False),
        ("readiness", "id2", False),
    ],
)
def test_what_was_ready_before_a_restart_stays_so(kind: Kind, container: str, wanted: bool) -> None:
    status = {"containerStatuses": [{"containerID": "x://id1", "ready": True, "started": True}]}
    assert was_so(a_pod(status=status), kind, container) is wanted
