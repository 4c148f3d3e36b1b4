"""Links to logs as other agents look for them."""

from pathlib import Path

import pytest

from tiphys.api.meta import Obj
from tiphys.kubelet import container_log_links as links


def a_pod(name: str) -> Obj:
    return {"metadata": {"name": name, "namespace": "ns"}}


@pytest.mark.parametrize(
    ("name", "container", "wanted"),
    [("web", "c", "web_ns_c-id.log"), ("w" * 250, "c", "w" * 250 + "_.log")],
)
def test_names(name: str, container: str, wanted: str) -> None:
    assert links.link_name(a_pod(name), container, "id") == wanted
    assert len(wanted) <= 255


def test_links_come_and_go_with_their_logs(tmp_path: Path) -> None:
    logs, pod, other = tmp_path / "pods", a_pod("web"), a_pod("web")
    folder, others = logs / "ns_web_1", logs / "ns_web_2"
    for one in (folder, others):
        (one / "c").mkdir(parents=True)
    first, second = folder / "c" / "0.log", folder / "c" / "1.log"
    first.write_text("one")
    links.add(logs, pod, "c", "aaa", first)
    links.add(logs, pod, "c", "aaa", first)  # Again after a restart of the kubelet.
    assert (tmp_path / "containers" / "web_ns_c-aaa.log").read_text() == "one"
    first.unlink()
    second.write_text("two")
    links.add(logs, pod, "c", "bbb", second)
    links.add(logs, other, "c", "ccc", others / "c" / "0.log")
    names = {p.name for p in (tmp_path / "containers").iterdir()}
    assert names == {"web_ns_c-bbb.log", "web_ns_c-ccc.log"}, "dead ones are gone"
    links.remove(logs, pod, folder)
    names = {p.name for p in (tmp_path / "containers").iterdir()}
    assert names == {"web_ns_c-ccc.log"}, "another pod of the same name keeps its own"
