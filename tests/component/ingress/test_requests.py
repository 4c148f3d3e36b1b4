"""What both data planes make of single requests: routes, headers, redirects, refusals."""

import asyncio

import pytest

from support.ingress_lab import (
    AVAILABLE,
    HttpBackend,
    free_port,
    insecure,
    lab,
    location,
    plan,
    read_answer,
    run,
)
from tiphys.ingress.certificates import fake_certificate
from tiphys.ingress.table import Host, Match, Options, Plan
from tiphys.lib.clock import SystemClock

pytestmark = pytest.mark.parametrize("plane", AVAILABLE)


def test_hosts_paths_and_what_nobody_has_named(plane: str) -> None:
    async def story() -> None:
        backends = [await HttpBackend.start(n) for n in ("root", "exact", "long", "wild", "any")]
        root, exact, long, wild, everybody = (b.port for b in backends)
        hosts = {
            "a.test": Host(
                (
                    location(exact, path="/foo", match=Match.EXACT),
                    location(long, path="/foo/bar"),
                    location(root),
                )
            ),
            "*.wild.test": Host((location(wild, path="/w"),)),
            "": Host((location(everybody, path="/any"),)),
        }
        expected = [
            ("a.test", "/foo", "exact"),
            ("A.TEST:8080", "/foo?x=/foo/bar", "exact"),
            ("a.test", "/foo/", "root"),
            ("a.test", "/foo/bar", "long"),
            ("a.test", "/foo//bar/", "long"),
            ("a.test", "/foo/barred", "root"),
            ("a.test", "/x/../foo/b%61r/1", "long"),
            ("b.wild.test", "/w/1", "wild"),
            ("b.wild.test", "/x", None),
            ("c.b.wild.test", "/w", None),
            ("wild.test", "/w", None),
            ("other.test", "/any", "any"),
            ("127.0.0.1", "/any/1", "any"),
            ("other.test", "/", None),
        ]
        async with lab(plane) as one:
            assert (await one.get("/foo")).status == 404
            await one.plane.apply(Plan(hosts))
            for host, path, backend in expected:
                told = await one.get(path, host)
                assert told.status == (404 if backend is None else 200), (host, path, told.body)
                if backend is not None:
                    assert (told.json["backend"], told.json["target"]) == (backend, path)

    run(story())


def test_what_the_backend_is_told_of_the_client(plane: str) -> None:
    async def story() -> None:
        backend = await HttpBackend.start("b")
        forged = (
            "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nX-Real-IP: 6.6.6.6\r\n"
            "X_Real_IP: 6.6.6.6\r\nProxy: http://evil\r\nTE: trailers\r\nKeep-Alive: 5\r\n"
            "X-Own: kept\r\nCookie: a=1; b=2\r\n"
        )
        async with lab(plane) as one:
            await one.plane.apply(plan(a=location(backend.port)))
            told = await one.get("/p?q=1", "a.test:81", more=forged)
            assert told.header("x-two") == "a, b"
            expected = {
                "host": "a.test:81",
                "x-forwarded-for": "127.0.0.1",
                "x-original-forwarded-for": "6.6.6.6",
                "x-real-ip": "127.0.0.1",
                "x_real_ip": None,
                "x-forwarded-host": "a.test:81",
                "x-forwarded-proto": "http",
                "x-forwarded-port": str(one.http_port),
                "x-scheme": "http",
                "proxy": None,
                "x-own": "kept",
                "cookie": "a=1; b=2",
            }
            assert {name: told.asked_with(name) for name in expected} == expected
            assert len(told.asked_with("x-request-id") or "") == 32
            again = await one.get("/", more="X-Request-ID: mine-1\r\n")
            assert again.asked_with("x-request-id") == "mine-1"

    run(story())


def test_answers_of_every_form(plane: str) -> None:
    async def story() -> None:
        backend = await HttpBackend.start("b")
        async with lab(plane) as one:
            await one.plane.apply(plan(a=location(backend.port)))
            head = await one.get("/", method="HEAD")
            assert (head.status, head.body) == (200, b"")
            assert int(head.header("content-length")) > 100
            assert (await one.get("/nothing")).status == 204
            assert (await one.get("/until-end")).body == b"until the end"
            old = await one.raw(b"GET /until-end HTTP/1.0\r\nHost: a.test\r\n\r\n")
            assert old.endswith(b"\r\n\r\nuntil the end")
            assert b"chunked" not in old.lower()
            for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"):
                told = await one.get("/m", method=method, more="Content-Length: 3\r\n", body=b"abc")
                assert (told.json["method"], told.json["length"]) == (method, 3)
            chunked = await one.get(
                "/", method="POST", more="Transfer-Encoding: chunked\r\n",
                body=b"3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\n\r\n",
            )  # fmt: skip
            assert chunked.json["length"] == 7

    run(story())


def test_requests_on_one_connection_reuse_the_backends(plane: str) -> None:
    async def story() -> None:
        backend = await HttpBackend.start("b")
        async with lab(plane) as one:
            await one.plane.apply(plan(a=location(backend.port)))
            reader, writer = await asyncio.open_connection("127.0.0.1", one.http_port)
            for number in range(20):
                target = "/nowhere" if number == 7 else f"/{number}"
                host = "b.test" if number == 7 else "a.test"
                writer.write(f"GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
                told = await read_answer(reader)
                assert told.status == (404 if number == 7 else 200)
            many = b"".join(b"GET /%d HTTP/1.1\r\nHost: a.test\r\n\r\n" % n for n in range(50))
            writer.write(many)
            for number in range(50):
                assert (await read_answer(reader)).json["target"] == f"/{number}"
            assert backend.open <= 2
            writer.close()

    run(story())


@pytest.mark.parametrize(
    ("request_text", "statuses"),
    [
        (b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 4\r\nTransfer-Encoding: chunked"
         b"\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n", (400,)),
        (b"POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\nContent-Length: 4"
         b"\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n", (400,)),
        (b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\nContent-Length: 30\r\n\r\nabc",
         (400,)),
        (b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3, 3\r\n\r\nabc", (400,)),
        (b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: +3\r\n\r\nabc", (400,)),
        (b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: -3\r\n\r\nabc", (400,)),
        (b"POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n",
         (400,)),
        (b"POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n"
         b"fffffffffffffffff\r\nabc\r\n", (400,)),
        (b"POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
         (400, 501)),
        (b"POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n"
         b"Transfer-Encoding: identity\r\n\r\n0\r\n\r\n", (400, 501)),
        (b"GET / HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n", (400,)),
        (b"GET / HTTP/1.1\r\n\r\n", (400,)),
        (b"GET / HTTP/1.1\r\nHost : a.test\r\n\r\n", (400,)),
        (b"GET /%zz HTTP/1.1\r\nHost: a.test\r\n\r\n", (400,)),
        (b"GET /../../etc HTTP/1.1\r\nHost: a.test\r\n\r\n", (400,)),
        (b"GET /a%00b HTTP/1.1\r\nHost: a.test\r\n\r\n", (400,)),
        (b"CONNECT a.test:80 HTTP/1.1\r\nHost: a.test\r\n\r\n", (400, 405)),
        (b"TRACE / HTTP/1.1\r\nHost: a.test\r\n\r\n", (405,)),
        (b"GET / HTTP/1.1\r\nHost: a.test\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", (400, 431)),
        (b"hello?\r\n\r\n", (400,)),
    ],
)  # fmt: skip
def test_what_is_no_request_is_refused_and_reaches_nobody(
    plane: str, request_text: bytes, statuses: tuple[int, ...]
) -> None:
    async def story() -> None:
        backend = await HttpBackend.start("b")
        async with lab(plane) as one:
            await one.plane.apply(plan(a=location(backend.port)))
            said = await one.raw(request_text)
            assert int(said.split(b" ", 2)[1]) in statuses, said
            assert said.count(b"HTTP/1.1 ") == 1
            assert backend.asked <= 1
            assert backend.received == 0
            assert b"smuggled" not in said

    run(story())


def test_no_endpoint_none_that_answers_and_one_that_breaks(plane: str) -> None:
    async def story() -> None:
        backend = await HttpBackend.start("b")
        async with lab(plane) as one:
            await one.plane.apply(plan(a=location()))
            assert (await one.get("/")).status == 503
            await one.plane.apply(plan(a=location(free_port())))
            assert (await one.get("/")).status == 502
            quick = Options(read_seconds=1)
            await one.plane.apply(plan(a=location(backend.port, options=quick)))
            assert (await one.get("/stuck")).status == 504
            assert (await one.get("/silent-end")).status == 502
            with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
                await one.get("/cut")
            # A dead endpoint costs nobody a request, not even one that may not be repeated.
            await one.plane.apply(plan(a=location(free_port(), backend.port)))
            for _ in range(4):
                told = await one.get("/", method="POST", more="Content-Length: 2\r\n", body=b"hi")
                assert (told.status, told.json["length"]) == (200, 2)

    run(story())


def test_endpoints_take_turns(plane: str) -> None:
    async def story() -> None:
        backends = [await HttpBackend.start(str(n)) for n in range(3)]
        async with lab(plane) as one:
            await one.plane.apply(plan(a=location(*(b.port for b in backends))))
            for _ in range(30):
                await one.get("/")
            assert all(5 <= b.asked <= 15 for b in backends)

    run(story())


def test_paths_are_rewritten(plane: str) -> None:
    async def story() -> None:
        backend = await HttpBackend.start("b")
        groups = location(
            backend.port, path="/some(/|$)(.*)", match=Match.REGEX,
            options=Options(rewrite_target="/$2"),
        )  # fmt: skip
        whole = location(backend.port, path="/web", options=Options(rewrite_target="/index"))
        query = location(
            backend.port, path="/q/([0-9]+)", match=Match.REGEX,
            options=Options(rewrite_target="/item?id=$1"),
        )  # fmt: skip
        rest = location(backend.port)
        expected = {
            "/some": "/",
            "/some/": "/",
            "/some/thing/x?a=b": "/thing/x?a=b",
            "/SOME/thing": "/thing",
            "/some/sp%20ace": "/sp%20ace",
            "/web/deep?a=1": "/index?a=1",
            "/website": "/website",
            "/q/12?z=1": "/item?id=12&z=1",
            "/else": "/else",
        }
        async with lab(plane) as one:
            await one.plane.apply(Plan({"a.test": Host((groups, query, whole, rest))}))
            for path, target in expected.items():
                assert (await one.get(path)).json["target"] == target, path

    run(story())


def test_tls_is_demanded_where_there_is_a_certificate(plane: str) -> None:
    async def story() -> None:
        backend = await HttpBackend.start("b")
        own = {"a": fake_certificate(SystemClock().now())}
        async with lab(plane) as one:
            await one.plane.apply(plan(own, a=location(backend.port), b=location(backend.port)))
            told = await one.get("/x?y=1", "a.test:8080")
            assert told.status == 308
            assert told.header("location") == f"https://a.test:{one.https_port}/x?y=1"
            assert (await one.get("/.well-known/acme-challenge/t")).status == 200
            secure = await one.get("/x", tls=insecure())
            assert secure.asked_with("x-forwarded-proto") == "https"
            assert secure.asked_with("x-forwarded-port") == str(one.https_port)
            assert (await one.get("/", "b.test")).status == 200
            no = Options(ssl_redirect=False)
            always = Options(force_ssl_redirect=True)
            await one.plane.apply(
                plan(own, a=location(backend.port, options=no),
                     b=location(backend.port, options=always))
            )  # fmt: skip
            assert (await one.get("/")).status == 200
            assert (await one.get("/", "b.test")).status == 308

    run(story())


def test_bodies_may_be_limited(plane: str) -> None:
    async def story() -> None:
        backend = await HttpBackend.start("b")
        small = location(backend.port, options=Options(body_bytes_max=10))
        async with lab(plane) as one:
            await one.plane.apply(plan(a=small, b=location(backend.port)))
            fits = await one.get("/", method="POST", more="Content-Length: 10\r\n", body=b"x" * 10)
            assert fits.status == 200
            over = await one.get("/", method="POST", more="Content-Length: 11\r\n", body=b"x" * 11)
            assert over.status == 413
            chunked = await one.get(
                "/", method="POST", more="Transfer-Encoding: chunked\r\n",
                body=b"b\r\n" + b"x" * 11 + b"\r\n0\r\n\r\n",
            )  # fmt: skip
            assert chunked.status == 413
            big = b"x" * 3_000_000
            more = f"Content-Length: {len(big)}\r\n"
            assert (await one.get("/", "b.test", method="PUT", more=more, body=big)).json[
                "length"
            ] == len(big)

    run(story())


def test_expectations_and_answers_before_the_requests_end(plane: str) -> None:
    async def story() -> None:
        backend = await HttpBackend.start("b")
        async with lab(plane) as one:
            await one.plane.apply(plan(a=location(backend.port)))
            reader, writer = await asyncio.open_connection("127.0.0.1", one.http_port)
            writer.write(
                b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n"
                b"Expect: 100-continue\r\n\r\n"
            )
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
            writer.write(b"abc")
            told = await read_answer(reader)
            assert (told.json["length"], told.asked_with("expect")) == (3, None)
            writer.write(b"POST /early HTTP/1.1\r\nHost: a.test\r\nContent-Length: 99\r\n\r\nabc")
            assert (await read_answer(reader)).body == b"early"
            writer.close()

    run(story())


def test_health_and_unknown_hosts(plane: str) -> None:
    async def story() -> None:
        async with lab(plane) as one:
            assert (await one.get("/healthz")).status == 200
            unknown = await one.get("/")
            assert (unknown.status, unknown.body) == (404, b"default backend - 404\n")

    run(story())
