"""What instructions without files change in the config of an image."""

from typing import Any

import pytest

from tiphys.runtime.build.dockerfile import DockerfileError, parse
from tiphys.runtime.build.image_config import apply

BASE: dict[str, Any] = {"Env": ["PATH=/bin", "A=1"], "WorkingDir": "/srv"}


def after(line: str) -> dict[str, Any]:
    one = parse(f"FROM a\n{line}").instructions[1]
    return apply(BASE, one, {"A": "1"}, "\\")


@pytest.mark.parametrize(
    ("line", "change"),
    [
        ("ENV B=$A C='x y'", {"Env": ["PATH=/bin", "A=1", "B=1", "C=x y"]}),
        ("ENV A=2 B=$A", {"Env": ["PATH=/bin", "A=2", "B=1"]}),  # The line sees what was before.
        ("LABEL a=b", {"Labels": {"a": "b"}}),
        ("MAINTAINER me", {"Labels": {"maintainer": "me"}}),
        ("CMD a b", {"Cmd": ["/bin/sh", "-c", "a b"]}),
        ('CMD ["a", "b"]', {"Cmd": ["a", "b"]}),
        ('ENTRYPOINT ["a"]', {"Entrypoint": ["a"]}),
        ("EXPOSE 80 53/udp 8000-8001", {"ExposedPorts": {"80/tcp": {}, "53/udp": {}, "8000/tcp": {}, "8001/tcp": {}}}),  # noqa: E501
        ("USER u$A:g", {"User": "u1:g"}),
        ("WORKDIR x/../y", {"WorkingDir": "/srv/y"}),
        ("WORKDIR /z", {"WorkingDir": "/z"}),
        ('VOLUME ["/a b"]', {"Volumes": {"/a b": {}}}),
        ("VOLUME /a /b", {"Volumes": {"/a": {}, "/b": {}}}),
        ("STOPSIGNAL SIGINT", {"StopSignal": "SIGINT"}),
        ('SHELL ["/bin/bash", "-c"]', {"Shell": ["/bin/bash", "-c"]}),
        ("ONBUILD RUN x", {"OnBuild": ["RUN x"]}),
        ("HEALTHCHECK NONE", {"Healthcheck": {"Test": ["NONE"]}}),
        (
            "HEALTHCHECK --interval=1m30s --retries=3 CMD x y",
            {"Healthcheck": {"Test": ["CMD-SHELL", "x y"], "Interval": 90 * 10**9, "Retries": 3}},
        ),
    ],
)  # fmt: skip
def test_changes(line: str, change: dict[str, Any]) -> None:
    assert after(line) == {**BASE, **change}


@pytest.mark.parametrize(
    "line",
    [
        "EXPOSE x",
        "EXPOSE 70000",
        "ENV a",
        "SHELL x",
        "ONBUILD FROM x",
        "HEALTHCHECK GET /",
        "USER '",
    ],
)
def test_what_makes_no_sense(line: str) -> None:
    with pytest.raises(DockerfileError, match="line 2"):
        after(line)
