"""Lines leave the store and come into it over real TLS: Loki's API, rsyslog, joined nodes."""

import asyncio
import json
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from support.client_rig import Rig, Tell
from support.throwaway_pki import Authority
from tiphys.api.meta import GroupVersionResource, Obj
from tiphys.client.delegated_access import Gate
from tiphys.lib.clock import SystemClock
from tiphys.lib.http.client import HttpClient
from tiphys.lib.http.message import Answer, Request, Response, text_response
from tiphys.lib.http.server import HttpServer
from tiphys.lib.tasks import TaskSet
from tiphys.lib.tls import client_context, server_context
from tiphys.logstore import segment
from tiphys.logstore.forwarder import Cursor, Forwarder
from tiphys.logstore.index import PUSHED, Filter, Source
from tiphys.logstore.outputs.config import LokiConfig, SyslogConfig, Tls
from tiphys.logstore.outputs.loki import PUSH_PATH, LokiOutput
from tiphys.logstore.outputs.node import NODE_PATH, NodeOutput
from tiphys.logstore.outputs.record import Output, OutputError
from tiphys.logstore.outputs.syslog import SyslogOutput
from tiphys.logstore.pattern import text_pattern
from tiphys.logstore.push import node_body
from tiphys.logstore.push_server import PushServer
from tiphys.logstore.search import Hit, LogReader
from tiphys.logstore.store import Batch, LogStore
from tiphys.logstore.tail import Tail

POD = Source("default", "web", "u1", "main", "n1")
PODS = GroupVersionResource("", "v1", "pods")
EVERY = {"pods", "events", "audit", "pushed"}


def write(store: LogStore, *numbers: int, source: Source = POD) -> None:
    for number in numbers:
        line = f"2026-11-28T10:00:00.{number:09d}Z stdout F line-{number}.\n".encode()
        store.write([Batch(source, {"app": "web"}, line)])


def found(directory: Path, text: str = "line-", **wanted: Any) -> list[Hit]:
    reader = LogReader(directory)
    try:
        return reader.search(text_pattern(text), Filter(**wanted), 0)
    finally:
        reader.close()


def forwarder(directory: Path, output: Output, *, from_start: bool = True) -> Forwarder:
    cursor = Cursor(directory / "outputs" / "test.json")
    if from_start and cursor.read() is None:
        cursor.write(0)
    return Forwarder("test", output, Tail(directory, EVERY), cursor, SystemClock())


class Loki:
    """A receiver that keeps what it is pushed, equal entries once, as Loki does."""

    def __init__(self) -> None:
        self.entries: set[tuple[str, str]] = set()
        self.requests: list[Request] = []
        self.status = 204

    def answer(self, request: Request) -> Answer:
        self.requests.append(request)
        if self.status != 204:
            return text_response(self.status, "not now")
        for stream in json.loads(request.body)["streams"]:
            self.entries |= {(stamp, text) for stamp, text in stream["values"]}
        return Response(204)


@asynccontextmanager
async def listening(authority: Authority, handler: Callable[[Request], Any]) -> AsyncIterator[int]:
    cert, key = authority.issue("loki", server=True)
    http = HttpServer(handler, tls=server_context(cert, key, [authority.path]))
    try:
        yield await http.listen("127.0.0.1", 0)
    finally:
        await http.stop()


def test_loki_gets_each_line_once_although_it_fails_in_between(tmp_path: Path) -> None:
    directory, loki = tmp_path / "store", Loki()
    authority = Authority(tmp_path)
    token = tmp_path / "token"
    token.write_text("s3cret\n")

    async def story() -> None:
        with LogStore(directory) as store:
            write(store, *range(5))
            async with listening(authority, loki.answer) as port:
                url = f"https://127.0.0.1:{port}"
                output = LokiOutput(LokiConfig(url, Tls(authority.path), token, "team"))
                forward = forwarder(directory, output)
                loki.status = 503
                with pytest.raises(OutputError, match="answers 503: not now"):
                    await forward.step()
                loki.status = 204
                assert await forward.step()
                assert not await forward.step()
                write(store, 5, 6)
                # Killed between the answer and the cursor: it is sent again, and kept once.
                place = Cursor(directory / "outputs" / "test.json")
                before = place.read()
                await forward.step()
                place.write(before or 0)
                await forwarder(directory, output).step()
                output.close()

    asyncio.run(story())
    assert sorted(text for _, text in loki.entries) == [f"line-{n}." for n in range(7)]
    last = loki.requests[-1]
    assert (last.raw_path, last.headers["authorization"]) == (PUSH_PATH, "Bearer s3cret")
    assert last.headers["x-scope-orgid"] == "team"


def test_what_loki_refuses_is_left_out_and_a_new_output_begins_now(tmp_path: Path) -> None:
    directory, loki = tmp_path / "store", Loki()
    authority = Authority(tmp_path)

    async def story() -> None:
        with LogStore(directory) as store:
            write(store, 1)
            async with listening(authority, loki.answer) as port:
                url = f"https://127.0.0.1:{port}"
                output = LokiOutput(LokiConfig(url, Tls(authority.path)))
                forward = forwarder(directory, output, from_start=False)
                assert not await forward.step()
                write(store, 2)
                loki.status = 400
                assert await forward.step()
                loki.status = 204
                write(store, 3)
                assert await forward.step()
                output.close()

    asyncio.run(story())
    assert [text for _, text in loki.entries] == ["line-3."]


def test_a_receiver_of_another_authority_gets_nothing(tmp_path: Path) -> None:
    directory, loki = tmp_path / "store", Loki()
    authority, other = Authority(tmp_path), Authority(tmp_path / "other")

    async def story() -> None:
        with LogStore(directory) as store:
            write(store, 1)
            async with listening(other, loki.answer) as port:
                url = f"https://127.0.0.1:{port}"
                output = LokiOutput(LokiConfig(url, Tls(authority.path)))
                with pytest.raises(OutputError, match="certificate"):
                    await forwarder(directory, output).step()
                output.close()

    asyncio.run(story())
    assert loki.requests == []


class Rsyslog:
    """Debian's rsyslog with OpenSSL, as a process of ours that writes one file."""

    def __init__(self, directory: Path, authority: Authority) -> None:
        self.output = directory / "received"
        self.output.touch()
        cert, key = authority.issue("rsyslog", server=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        (directory / "work").mkdir()
        self._config = directory / "rsyslog.conf"
        self._config.write_text(f"""
global(workDirectory="{directory}/work" defaultNetstreamDriver="ossl"
  defaultNetstreamDriverCAFile="{authority.path}"
  defaultNetstreamDriverCertFile="{cert}" defaultNetstreamDriverKeyFile="{key}")
module(load="imtcp" streamDriver.name="ossl" streamDriver.mode="1" streamDriver.authMode="anon")
input(type="imtcp" port="{self.port}" address="127.0.0.1")
template(name="own" type="string" string="%structured-data% %msg%\\n")
action(type="omfile" file="{self.output}" template="own")
""")
        self._pid_file = directory / "rsyslog.pid"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        words = ["/usr/sbin/rsyslogd", "-n", "-f", str(self._config), "-i", str(self._pid_file)]
        self._process = subprocess.Popen(words)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError("rsyslog does not listen")

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(20)
            self._process = None

    def lines(self) -> list[tuple[str, str]]:
        """(id, text) of every message."""
        return [
            (line.split('id="')[1].split('"')[0], line.rsplit(" ", 1)[1].strip("\ufeff"))
            for line in self.output.read_text().splitlines()
        ]


def test_rsyslog_gets_every_line_over_restarts_and_kills(tmp_path: Path) -> None:
    directory, authority = tmp_path / "store", Authority(tmp_path)
    rsyslog = Rsyslog(tmp_path, authority)
    output = SyslogOutput(SyslogConfig("127.0.0.1", rsyslog.port, Tls(authority.path)))

    async def until_sent(forward: Forwarder) -> None:
        while True:
            try:
                if not await forward.step():
                    return
            except OutputError:
                await asyncio.sleep(0.05)

    async def story() -> None:
        with LogStore(directory) as store:
            write(store, *range(100))
            await until_sent(forwarder(directory, output))
            # A restart while lines are on their way.
            write(store, *range(100, 200))
            sending = asyncio.create_task(until_sent(forwarder(directory, output)))
            await asyncio.to_thread(rsyslog.stop)
            write(store, *range(200, 300))
            await asyncio.to_thread(rsyslog.start)
            await sending
            # The agent is killed after sending, before it noted that.
            cursor = Cursor(directory / "outputs" / "test.json")
            before = cursor.read()
            write(store, *range(300, 320))
            forward = forwarder(directory, output)
            await until_sent(forward)
            cursor.write(before or 0)
            await until_sent(forwarder(directory, output))

    rsyslog.start()
    try:
        asyncio.run(story())
    finally:
        rsyslog.stop()
    received = rsyslog.lines()
    once = dict(received)
    assert sorted(once.values(), key=lambda t: int(t[5:-1])) == [f"line-{n}." for n in range(320)]
    assert len(received) >= 340, "what was not noted as sent came twice, with the same id"


def test_a_receiver_that_ends_before_reading_does_not_count(tmp_path: Path) -> None:
    """It accepts, shakes hands, and closes with what came unread."""
    directory, authority = tmp_path / "store", Authority(tmp_path)
    cert, key = authority.issue("rude", server=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    server = socket.create_server(("127.0.0.1", 0))

    def rude() -> None:
        peer, _ = server.accept()
        with context.wrap_socket(peer, server_side=True):
            time.sleep(0.3)

    async def story() -> None:
        with LogStore(directory) as store:
            write(store, *range(50))
            port = server.getsockname()[1]
            output = SyslogOutput(SyslogConfig("127.0.0.1", port, Tls(authority.path)))
            accepting = asyncio.to_thread(rude)
            sending = forwarder(directory, output).step()
            _, error = await asyncio.gather(accepting, sending, return_exceptions=True)
            assert isinstance(error, OutputError), error

    asyncio.run(story())
    server.close()


@asynccontextmanager
async def cluster_log(rig: Rig, store: LogStore) -> AsyncIterator[int]:
    """The push server as the gateway runs it, with the API server to ask."""
    admin = rig.direct()
    gate = Gate(admin, SystemClock(), rig.authority.path)
    server = PushServer(store, admin, gate, lambda uid: {"labelled": uid})
    async with listening(rig.authority, server.answer) as port:
        yield port


def a_client(rig: Rig, port: int, name: str = "", groups: tuple[str, ...] = ()) -> HttpClient:
    files = rig.authority.issue(name, common_name=name, groups=groups) if name else ()
    context = client_context(rig.authority.path, *files)
    return HttpClient(f"https://127.0.0.1:{port}", tls=context)


PUSH = json.dumps(
    {"streams": [{"stream": {"job": "other", "pod": "p"}, "values": [["7", "line-1 pushed"]]}]}
).encode()
JSON = {"content-type": "application/json"}


def test_who_may_push(tell: Tell, tmp_path: Path) -> None:
    directory = tmp_path / "store"
    rbac = "/apis/rbac.authorization.k8s.io/v1"

    async def story(rig: Rig) -> None:
        admin = rig.direct()
        rule = {"nonResourceURLs": [PUSH_PATH], "verbs": ["post"]}
        role = {"metadata": {"name": "writer"}, "rules": [rule]}
        await admin.request("POST", f"{rbac}/clusterroles", role)
        group = "rbac.authorization.k8s.io"
        binding: Obj = {
            "metadata": {"name": "writer"},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "writer"},
            "subjects": [{"kind": "User", "apiGroup": group, "name": "agent"}],
        }
        await admin.request("POST", f"{rbac}/clusterrolebindings", binding)
        with LogStore(directory) as store:
            async with cluster_log(rig, store) as port:

                async def pushed(name: str, path: str = PUSH_PATH, body: bytes = PUSH) -> int:
                    client = a_client(rig, port, name)
                    try:
                        answer = await client.request("POST", path, headers=JSON, body=body)
                        return answer.status
                    finally:
                        client.close()

                assert await pushed("") == 401
                assert await pushed("stranger") == 403
                assert await pushed("agent", body=b"{") == 400
                assert await pushed("agent", NODE_PATH) == 403
                assert await pushed("agent", "/elsewhere") == 404
                assert found(directory) == []
                assert await pushed("agent") == 204
        (hit,) = found(directory, origin=PUSHED, pod="p")
        assert (hit.text, hit.time) == ("line-1 pushed", "1970-01-01T00:00:00.000000007Z")

    tell(story)


def a_pod(name: str, node: str) -> Obj:
    spec = {"nodeName": node, "containers": [{"name": "c", "image": "i"}]}
    return {"metadata": {"name": name}, "spec": spec}


def test_a_node_sends_lines_of_its_own_pods_and_each_is_there_once(
    tell: Tell, tmp_path: Path
) -> None:
    directory, nodes_directory = tmp_path / "store", tmp_path / "node-store"

    async def story(rig: Rig) -> None:
        admin = rig.direct()
        account = {"metadata": {"name": "default"}}
        await admin.request("POST", "/api/v1/namespaces/default/serviceaccounts", account)
        own = await admin.create(PODS, a_pod("own", "joined"), "default")
        others = await admin.create(PODS, a_pod("others", "n1"), "default")
        with LogStore(directory) as store, LogStore(nodes_directory) as nodes_store:
            async with cluster_log(rig, store) as port:
                name, groups = "system:node:joined", ("system:nodes",)
                client = a_client(rig, port, name, groups)
                output = NodeOutput(client, partial(node_body, "store-1"))
                forward = forwarder(nodes_directory, output)
                mine = Source("default", "own", own["metadata"]["uid"], "c", "a-lie")
                write(nodes_store, 1, 2, source=mine)
                write(nodes_store, 3, source=Source("default", "gone", "u9", "c", ""))
                assert await forward.step()
                place = Cursor(nodes_directory / "outputs" / "test.json")
                place.write(0)  # As if killed before it was noted.
                write(nodes_store, 4, source=mine)
                assert await forwarder(nodes_directory, output).step()
                foreign = Source("default", "others", others["metadata"]["uid"], "c", "")
                write(nodes_store, 5, source=foreign)
                with pytest.raises(OutputError, match="answers 403: Forbidden: pod default/others"):
                    await forward.step()
                output.close()
        hits = found(directory)
        assert sorted(hit.text for hit in hits) == [f"line-{n}." for n in (1, 2, 3, 4)]
        assert {hit.source.node for hit in hits} == {"joined"}

    tell(story)


def test_a_task_set_ends(tmp_path: Path) -> None:
    """A forwarder that cannot send is cancelled in the middle of its waiting."""

    async def story() -> None:
        with LogStore(tmp_path / "s") as store:
            write(store, 1)
            config = SyslogConfig("127.0.0.1", 1, Tls(Authority(tmp_path).path))
            tasks = TaskSet()
            tasks.start(forwarder(tmp_path / "s", SyslogOutput(config)).run(), "output")
            await asyncio.sleep(0.1)
            await asyncio.wait_for(tasks.close(), 5)
            assert asyncio.all_tasks() == {asyncio.current_task()}, "nothing is left running"

    asyncio.run(story())


def test_what_retention_took_first_is_said_and_the_rest_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(segment, "SEGMENT_BYTES_MAX", 100)
    directory, loki = tmp_path / "store", Loki()
    authority = Authority(tmp_path)

    async def story() -> None:
        with LogStore(directory, bytes_max=200) as store:
            write(store, *range(10))
            assert store.retain("") > 0
            async with listening(authority, loki.answer) as port:
                config = LokiConfig(f"https://127.0.0.1:{port}", Tls(authority.path))
                output = LokiOutput(config)
                forward = forwarder(directory, output)
                while await forward.step():
                    pass
                output.close()

    asyncio.run(story())
    assert "removed before the output took them" in caplog.text
    sent = {text for _, text in loki.entries}
    assert "line-9." in sent
    assert "line-0." not in sent


def test_an_output_gets_the_sources_that_it_wants(tmp_path: Path) -> None:
    with LogStore(tmp_path) as store:
        write(store, 1)
        write(store, 2, source=POD._replace(origin="audit"))
        tail = Tail(tmp_path, {"audit"})
        found_records = tail.after(0)
        assert [r.text for r in found_records.records] == ["line-2."]
        assert found_records.last == 2
        assert tail.after(2).records == []
        tail.close()
