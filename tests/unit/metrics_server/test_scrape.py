"""What a kubelet's /metrics/resource says."""

import pytest

from tiphys.api.meta import Obj
from tiphys.metrics_server.points import Point, Scraped
from tiphys.metrics_server.scrape import kubelet_url, read

TEXT = """# TYPE container_cpu_usage_seconds_total counter
container_cpu_usage_seconds_total{container="c",namespace="ns",pod="p"} 4.5 2000
container_cpu_usage_seconds_total{container="half",namespace="ns",pod="p"} 4.5 2000
container_memory_working_set_bytes{container="c",namespace="ns",pod="p"} 4096 2000
container_start_time_seconds{container="c",namespace="ns",pod="p"} 1.5
node_cpu_usage_seconds_total 99 3000
node_memory_working_set_bytes 8192 3000
pod_cpu_usage_seconds_total{namespace="ns",pod="p"} 4.5 2000
resource_scrape_error 0
"""


def test_read() -> None:
    assert read(TEXT, 0.0) == Scraped(
        Point(3.0, 99.0, 8192), {("ns", "p"): {"c": Point(2.0, 4.5, 4096, 1.5)}}
    )


def test_a_sample_without_a_time_is_of_now() -> None:
    text = "node_cpu_usage_seconds_total 1\nnode_memory_working_set_bytes 2\n"
    assert read(text, 7.0).node == Point(7.0, 1.0, 2)


def test_a_page_that_is_something_else() -> None:
    assert read("<html>404</html>", 0.0) == Scraped(None, {})


@pytest.mark.parametrize(
    ("status", "url"),
    [
        ({}, ""),
        ({"addresses": [{"type": "Hostname", "address": "n"}]}, ""),
        ({"addresses": [{"type": "InternalIP", "address": "10.0.0.1"}]}, "https://10.0.0.1:10250"),
        (
            {
                "addresses": [{"type": "InternalIP", "address": "fd00::1"}],
                "daemonEndpoints": {"kubeletEndpoint": {"Port": 1}},
            },
            "https://[fd00::1]:1",
        ),
    ],
)
def test_where_a_kubelet_is(status: Obj, url: str) -> None:
    assert kubelet_url({"status": status}) == url
