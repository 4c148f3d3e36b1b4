"""Images built from Dockerfiles, RUN in real containers."""

import gzip
import io
import json
import os
import tarfile
from pathlib import Path

import pytest

from component.runtime.builds import Bench
from tiphys.runtime.build.builder import BuildError
from tiphys.runtime.cgroups.interface import detect
from tiphys.runtime.images import archive, bundled, manifest

pytestmark = pytest.mark.root


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_one_of_every_instruction(bench: Bench) -> None:
    bench.file("app/main", "main", 0o755)
    bench.file("app/secret.key", "no")
    bench.file("app/sub/deep", "deep")
    bench.file(".dockerignore", "**/*.key\n")
    made = bench.build(
        """
        ARG version=1
        FROM busybox AS base
        ARG version
        ENV NAME=app-${version} HOME=/home/app
        RUN adduser -D -H worker 2>/dev/null || echo 'worker:x:1000:1000::/:/bin/sh' >>/etc/passwd
        WORKDIR /srv/$NAME
        COPY --chown=1000:2000 --chmod=750 app/ ./code/
        COPY app/main app/sub/d* /many/
        USER worker
        RUN <<SCRIPT
        echo $NAME >/tmp/script
        SCRIPT
        RUN cat <<'ONE' >/tmp/input
        $NAME
        ONE
        RUN id -u >/tmp/who && pwd >>/tmp/who && echo $NAME-$version >>/tmp/who
        FROM base
        COPY <<'TEXT' /text
        as $it stands
        TEXT
        COPY --from=base /tmp/who /taken
        COPY --from=base /tmp/script /tmp/input /heard/
        ADD app/main /
        LABEL one=1 two="2 3"
        EXPOSE 8080
        ENTRYPOINT ["/main"]
        CMD ["--serve"]
        """.replace("\n        ", "\n"),
    )
    assert bench.look(made, "/taken")[3] == b"1000\n/srv/app-1\napp-1-1\n"
    assert bench.look(made, "/heard/script")[3] == b"app-1\n"
    assert bench.look(made, "/heard/input")[3] == b"$NAME\n"
    assert bench.look(made, "/srv/app-1/code/main") == (0o750, 1000, 2000, b"main")
    assert bench.look(made, "/srv/app-1/code")[3] == ["main", "sub"]
    assert bench.look(made, "/many")[3] == ["deep", "main"]
    assert bench.look(made, "/text")[3] == b"as $it stands\n"
    assert bench.look(made, "/main")[0] == 0o755
    assert bench.look(made, "/srv")[:3] == (0o755, 0, 0)
    config = made.config
    assert (config["Entrypoint"], config["Cmd"]) == (["/main"], ["--serve"])
    assert config["Labels"] == {"one": "1", "two": "2 3"}
    assert (config["User"], config["WorkingDir"]) == ("worker", "/srv/app-1")
    assert "NAME=app-1" in config["Env"]


def test_add_unpacks_archives_and_follows_no_link_out(bench: Bench) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as zipped:
        for name, kind, link in (
            ("up", tarfile.SYMTYPE, "/"),
            ("up/escaped", tarfile.REGTYPE, ""),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.uid = kind, link, 77
            zipped.addfile(info)
    bench.file("a.tar.gz", packed.getvalue())
    made = bench.build("FROM busybox\nADD a.tar.gz /opt/x/\nCOPY a.tar.gz /opt/")
    # The link leads to the image's own root.
    assert bench.look(made, "/escaped")[1] == 77
    assert bench.look(made, "/opt/x")[3] == ["up"]
    assert bench.look(made, "/opt/a.tar.gz")[3] == packed.getvalue()
    assert not Path("/escaped").exists()


def test_a_layer_holds_what_a_run_changed_and_nothing_else(bench: Bench) -> None:
    """No /proc, /dev or resolv.conf of the runtime's mounts."""
    made = bench.build("FROM busybox\nRUN rm /etc/group && echo x >/x && mkdir -p /a/b")
    with bench.storage.open_blob(made.layers[-1].digest) as file, tarfile.open(fileobj=file) as one:
        assert one.getnames() == ["a", "a/b", "etc", "etc/.wh.group", "x"]


def test_what_a_run_removes_or_replaces_is_so_for_the_next(bench: Bench) -> None:
    made = bench.build(
        "FROM busybox\n"
        "RUN mkdir -p d/sub o && touch d/a d/sub/b o/old && echo 1 >one && ln one two\n"
        "RUN rm -r d/sub o && mkdir o && touch o/new && mv d/a d/c\n"
        "RUN ls d o && cat one two && stat -c %h one two"
    )
    assert bench.output.decode().split() == ["d:", "c", "o:", "new", "1", "1", "2", "2"]
    assert bench.look(made, "/o")[3] == ["new"]
    assert bench.look(made, "/d")[3] == ["c"]


def test_a_compressed_base_is_as_good_as_another(bench: Bench) -> None:
    base = bundled.layer(bundled.busybox_entries(bundled.BUSYBOX))
    ids = {"rootfs": {"type": "layers", "diff_ids": [manifest.digest_of(base)]}, "config": {}}
    listed = [{"Config": "c", "RepoTags": ["t/zipped:1"], "Layers": ["l"]}]
    parts = {"manifest.json": json.dumps(listed), "c": json.dumps(ids)}
    place = bench.directory / "zipped.tar"
    with tarfile.open(place, "w") as packed:
        for name, data in (
            *((key, text.encode()) for key, text in parts.items()),
            ("l", gzip.compress(base)),
        ):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            packed.addfile(info, io.BytesIO(data))
    archive.load(bench.storage, str(place))
    bench.build("FROM t/zipped:1\nRUN echo works")
    assert bench.output == b"works\n"


def test_the_cache_knows_what_a_step_depends_on(bench: Bench) -> None:
    text = "FROM busybox\nARG v\nRUN echo once\nCOPY f /f\nRUN echo $v >/v\nENV done=1"
    bench.file("f", "1")
    first = bench.build(text, build_args={"v": "1"})
    assert bench.cached() == 0
    os.utime(bench.context / "f", (5, 5))  # Times do not count.
    again = bench.build(text, build_args={"v": "1"})
    assert bench.cached() == 4
    assert bench.image_id(first) == bench.image_id(again)
    bench.build(text, build_args={"v": "2"})
    # Docker's rule: RUN sees every argument declared above it; COPY has the same parent again.
    assert bench.cached() == 1
    bench.file("f", "2")
    bench.build(text, build_args={"v": "1"})
    assert bench.cached() == 1
    bench.build(text, build_args={"v": "1"}, no_cache=True)
    assert bench.cached() == 0


def test_the_same_source_date_gives_the_same_image(bench: Bench) -> None:
    text = "FROM busybox\nWORKDIR /w\nCOPY f .\nRUN date >/dev/null; mkdir d && touch d/x /etc/y"
    bench.file("f", "1")
    first = bench.build(text, epoch=1_700_000_000)
    bench.forget()
    os.utime(bench.context / "f", (1_750_000_000, 1_750_000_000))
    second = bench.build(text, epoch=1_700_000_000)
    assert bench.cached() == 0
    assert bench.image_id(first) == bench.image_id(second)
    assert first.document["created"] == "2023-11-14T22:13:20Z"


def test_run_is_confined_as_a_pod_is(bench: Bench) -> None:
    bench.build(
        "FROM busybox\n"
        "RUN grep -e CapEff -e '^Seccomp:' /proc/self/status; ls /proc | grep -c '^[0-9]*$'\n"
        "RUN --network=none cat /sys/class/net/*/operstate | wc -l; hostname"
    )
    capabilities, seccomp, processes, networks, name = bench.output.decode().splitlines()
    assert capabilities.split()[1] == "00000000a80425fb"
    assert seccomp.split()[1] == "2"
    assert int(processes) <= 4
    assert (networks, name) == ("1", "buildkitsandbox")


def test_a_failing_command_says_so_and_leaves_nothing(bench: Bench) -> None:
    with pytest.raises(BuildError, match=r"line 2: RUN: .*exit 3' returned a non-zero code: 3"):
        bench.build("FROM busybox\nRUN echo before; sleep 1000 & exit 3")
    assert bench.output == b"before\n"
    assert not Path(bench.config.state_dir).exists()
    assert not Path(bench.config.root_dir, "containers").exists()
    groups = detect().directories(bench.config.cgroup_root.strip("/"))
    assert [path for path in groups if Path(path).exists()] == []
    # What came before the failure is known the next time.
    bench.build("FROM busybox\nRUN true")
    with pytest.raises(BuildError, match="no such file"):
        bench.build('FROM busybox\nRUN true\nRUN ["/nothing"]')
    assert bench.cached() == 1


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ("COPY nothing /x", "line 2: COPY: .*stat nothing: file does not exist"),
        ("COPY f g /x", "more than one source file"),
        ("COPY --chown=nobody-knows f /x", "unable to find user nobody-knows"),
        ("COPY --chmod=9 f /x", "octal"),
        ("ADD https://example.org/x /x", "only local files"),
        ("RUN --mount=type=cache,target=/x true", "--mount is not supported"),
        ("USER nobody-knows\nRUN true", "line 3: RUN: .*nobody-knows"),
        ("COPY .wh.f /x/", "cannot be in a layer"),
    ],
)
def test_what_cannot_be_built(bench: Bench, lines: str, why: str) -> None:
    bench.file("f", "1")
    bench.file("g", "1")
    bench.file(".wh.f", "1")
    with pytest.raises(BuildError, match=why):
        bench.build(f"FROM busybox\n{lines}")


def test_targets_scratch_triggers_and_entry_points(bench: Bench) -> None:
    bench.file("f", "1")
    bench.build(
        'FROM busybox\nCMD ["sh"]\nONBUILD COPY f /triggered\nONBUILD RUN echo ran >/ran',
        name="t/base:1",
    )
    made = bench.build(
        "FROM scratch AS empty\nCOPY f /only\n"
        'FROM t/base:1 AS child\nENTRYPOINT ["/x"]\n'
        "FROM busybox\nRUN exit 1",
        target="child",
    )
    assert bench.look(made, "/triggered")[3] == b"1"
    assert bench.look(made, "/ran")[3] == b"ran\n"
    assert "Cmd" not in made.config
    assert "OnBuild" not in made.config
    alone = bench.build("FROM scratch AS empty\nCOPY f /only\nFROM busybox", target="empty")
    assert bench.look(alone, "/")[3] == ["only"]


def test_an_unused_argument_is_told(bench: Bench) -> None:
    bench.build("FROM busybox\nARG used", build_args={"used": "1", "typo": "2", "http_proxy": "x"})
    assert bench.said[-1] == "[Warning] One or more build-args [typo] were not consumed"
