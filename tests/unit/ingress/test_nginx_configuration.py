"""A plan as nginx's configuration: what is special in it stays between quotes."""

import pytest

from tiphys.api.meta import ObjectKey
from tiphys.ingress.data_plane import Listening
from tiphys.ingress.nginx.configuration import (
    certificate_path,
    configuration,
    quoted,
    server_name,
    upstream_name,
)
from tiphys.ingress.table import (
    Backend,
    Certificate,
    Endpoint,
    Host,
    Location,
    Match,
    Options,
    Plan,
)

OWN = Certificate(b"chain", b"key")
WHERE = Listening("192.0.2.1", 80, 443, Certificate(b"c", b"k"))
BACKEND = Backend("ns/web:80", (Endpoint("10.0.0.1", 8080),))


def a_location(match: Match, path: str, backend: Backend = BACKEND, **options: str) -> Location:
    return Location(match, path, backend, ObjectKey("ns", "i"), Options(**options))  # type: ignore[arg-type]


def written(host: Host, name: str = "a.test") -> list[str]:
    text = configuration(Plan({name: host}), WHERE, "/d", workers=1)
    return [line.strip() for line in text.splitlines()]


def locations(host: Host) -> list[str]:
    return [
        line for line in written(host) if line.startswith("location") and "default" not in line
    ][1:]


def test_a_host_with_a_certificate() -> None:
    lines = written(Host((a_location(Match.PREFIX, ""),), OWN))
    begin = lines.index('server_name "a.test";')
    assert lines[begin - 2 :] == [
        "listen 192.0.2.1:80;",
        "listen 192.0.2.1:443 ssl;",
        'server_name "a.test";',
        f"ssl_certificate {certificate_path('/d', OWN)};",
        f"ssl_certificate_key {certificate_path('/d', OWN)};",
        "location / {",
        "set $tiphys_secure $scheme;",
        "if ($request_uri ~ ^/.well-known/acme-challenge) { set $tiphys_secure https; }",
        "if ($tiphys_secure = http) { return 308 https://$host$request_uri; }",
        "client_max_body_size 0;",
        "proxy_connect_timeout 5s;",
        "proxy_send_timeout 60s;",
        "proxy_read_timeout 60s;",
        "proxy_pass http://tiphys.ns_2f_web_3a_80;",
        "}",
        "}",
        "}",
    ]
    assert "server 10.0.0.1:8080 max_fails=0;" in lines


def test_prefixes_become_patterns_beside_one() -> None:
    prefix = a_location(Match.PREFIX, "/a.b")
    assert locations(Host((a_location(Match.EXACT, "/x"), prefix))) == [
        'location = "/x" {',
        'location = "/a.b" {',
        'location "/a.b/" {',
    ]
    regex = a_location(Match.REGEX, "/r(.*)", rewrite_target="/$1")
    assert locations(Host((regex, prefix))) == [
        'location ~* "^/r(.*)" {',
        'location ~ "^/a\\\\.b(?:/|$)" {',
    ]
    assert 'rewrite "(?i)^/r(.*)" "/$1" break;' in written(Host((regex,)))


def test_no_endpoint_is_no_upstream() -> None:
    lines = written(Host((a_location(Match.PREFIX, "", Backend("ns/web:80")),)))
    assert 'return 503 "no endpoint of ns/web:80 is ready";' in lines
    assert not any(line.startswith("upstream") for line in lines)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("", '"_"'), ("a.test", '"a.test"'), ("*.a.test", '"~^[^.]+\\\\.a\\\\.test$"')],
)
def test_names_of_servers(name: str, expected: str) -> None:
    assert server_name(name) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("/a b", '"/a b"'), ('"; x', '"\\"; x"'), ("\\", '"\\\\"'), ("{};#$'", '"{};#$\'"')],
)
def test_quotes(text: str, expected: str) -> None:
    assert quoted(text) == expected


@pytest.mark.parametrize("text", ["a\nb", "a\rb", "a\0b", "\x7f"])
def test_what_has_no_place_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="control character"):
        quoted(text)


def test_backends_never_share_a_name() -> None:
    names = {upstream_name(Backend(n)) for n in ("a/b-c:80", "a-b/c:80", "a/b_2f_c:80", "a/b:80")}
    assert len(names) == 4


def test_the_same_plan_is_the_same_text() -> None:
    one = Host((a_location(Match.PREFIX, ""),))
    first = configuration(Plan({"a": one, "b": one}), WHERE, "/d", workers=1)
    assert first == configuration(Plan({"b": one, "a": one}), WHERE, "/d", workers=1)
