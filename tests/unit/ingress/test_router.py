"""Which location a request belongs to, and what its target becomes."""

import pytest

from tiphys.api.meta import ObjectKey
from tiphys.ingress.router import BadPath, Router, normal_path, rewritten
from tiphys.ingress.table import Backend, Certificate, Host, Location, Match, Options, Plan

ANY = Certificate(b"c", b"k")


def a_location(match: Match, path: str, **options: str | bool) -> Location:
    made = Options(**options)  # type: ignore[arg-type]
    return Location(match, path, Backend(f"ns/{path or 'root'}:80"), ObjectKey("ns", "i"), made)


def found(match: Match, path: str, asked: str) -> bool:
    router = Router(Plan({"": Host((a_location(match, path),))}))
    return router.find("", normal_path(asked)) is not None


# The table of https://kubernetes.io/docs/concepts/services-networking/ingress/#examples
@pytest.mark.parametrize(
    ("match", "path", "asked", "expected"),
    [
        (Match.PREFIX, "", "/any/path", True),
        (Match.EXACT, "/foo", "/foo", True),
        (Match.EXACT, "/foo", "/bar", False),
        (Match.EXACT, "/foo", "/foo/", False),
        (Match.EXACT, "/foo/", "/foo", False),
        (Match.PREFIX, "/foo", "/foo", True),
        (Match.PREFIX, "/foo", "/foo/", True),
        (Match.PREFIX, "/aaa/bb", "/aaa/bbb", False),
        (Match.PREFIX, "/aaa/bbb", "/aaa/bbb", True),
        (Match.PREFIX, "/aaa/bbb", "/aaa/bbb/", True),
        (Match.PREFIX, "/aaa/bbb", "/aaa/bbb/ccc", True),
        (Match.PREFIX, "/aaa/bbb", "/aaa/bbbxyz", False),
        (Match.PREFIX, "/foo", "/FOO", False),
        (Match.REGEX, "/a[0-9]+", "/a12", True),
        (Match.REGEX, "/a[0-9]+", "/A12/more", True),
        (Match.REGEX, "/a[0-9]+", "/x/a12", False),
    ],
)
def test_paths(match: Match, path: str, asked: str, expected: bool) -> None:
    assert found(match, path, asked) is expected


def test_the_longest_wins_beside_patterns_too() -> None:
    host = Host(
        (
            a_location(Match.EXACT, "/api/v1"),
            a_location(Match.REGEX, "/api/(.*)x"),
            a_location(Match.PREFIX, "/api/v1"),
            a_location(Match.PREFIX, ""),
        )
    )
    router = Router(Plan({"": host}))
    paths = ("/api/v1", "/api/v1/x", "/api/v1/y", "/apix", "/api/zx")
    assert [host.locations.index(router.find("", p) or host.locations[0]) for p in paths] == [
        0, 1, 2, 3, 1,
    ]  # fmt: skip


def test_hosts() -> None:
    hosts = {"a.test": Host(), "*.a.test": Host(), "*.b.test": Host()}
    router = Router(Plan(hosts))
    asked = ["a.test", "x.a.test", "y.x.a.test", "b.test", "x.b.test", "c"]
    assert [router.host_of(n) for n in asked] == [
        "a.test", "*.a.test", None, None, "*.b.test", None,
    ]  # fmt: skip
    assert Router(Plan({**hosts, "": Host()})).host_of("c") == ""


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/", "/"),
        ("/a/b?x=/../y", "/a/b"),
        ("/a%2Fb%20c", "/a/b c"),
        ("//a///b/", "/a/b/"),
        ("/a/./b/../c", "/a/c"),
        ("/a/..", "/"),
        ("/a/b/..", "/a/"),
        ("/.hidden", "/.hidden"),
        ("/%c3%bc", "/ü"),
        ("/..", None),
        ("/a/../../b", None),
        ("/%2e%2e/x", None),
        ("/%zz", None),
        ("/%", None),
        ("/a%00", None),
        ("*", None),
    ],
)
def test_normal_paths(target: str, expected: str | None) -> None:
    if expected is None:
        with pytest.raises(BadPath):
            normal_path(target)
    else:
        assert normal_path(target) == expected


@pytest.mark.parametrize(
    ("match", "path", "wanted", "target", "expected"),
    [
        (Match.PREFIX, "/a", "", "/a/x?y=1", "/a/x?y=1"),
        (Match.PREFIX, "/a", "/", "/a/x?y=1", "/?y=1"),
        (Match.PREFIX, "/a", "/$1", "/a", "/"),
        (Match.REGEX, "/a(/|$)(.*)", "/$2", "/a/b/c", "/b/c"),
        (Match.REGEX, "/a(/|$)(.*)", "/$2", "/a", "/"),
        (Match.REGEX, "/a/(.*)", "/z?q=$1", "/a/b?c=d", "/z?q=b&c=d"),
        (Match.REGEX, "/a/(.*)", "/$1", "/a/b%3Fc%0d", "/b%3Fc%0D"),
        (Match.REGEX, "/a/(x)?(.*)", "/$1-$2", "/a/b", "/-b"),
        (Match.REGEX, "/a/(.*)", "/$1", "/a/%ff", "/%FF"),
    ],
)
def test_rewrites(match: Match, path: str, wanted: str, target: str, expected: str) -> None:
    location = a_location(match, path, rewrite_target=wanted)
    assert rewritten(location, normal_path(target), target) == expected


@pytest.mark.parametrize(
    ("options", "host", "path", "expected"),
    [
        ({}, "a.test", "/", True),
        ({}, "b.test", "/", False),
        ({}, "x.wild.test", "/", True),
        ({"ssl_redirect": False}, "a.test", "/", False),
        ({"force_ssl_redirect": True}, "b.test", "/", True),
        ({}, "a.test", "/.well-known/acme-challenge/x", False),
    ],
)
def test_who_must_come_over_tls(
    options: dict[str, bool], host: str, path: str, expected: bool
) -> None:
    location = a_location(Match.PREFIX, "", **options)
    hosts = {
        "a.test": Host((location,), ANY),
        "b.test": Host((location,)),
        "*.wild.test": Host((location,), ANY),
        "x.wild.test": Host((location,)),
    }
    assert Router(Plan(hosts)).redirects(host, location, path) is expected
