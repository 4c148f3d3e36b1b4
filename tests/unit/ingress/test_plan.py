"""From Ingresses, Services, EndpointSlices and Secrets to a plan, and to what is wrong."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tiphys.api.meta import Obj, ObjectKey, key_of
from tiphys.ingress.annotations import PREFIX, options_of
from tiphys.ingress.backends import endpoints_of
from tiphys.ingress.certificates import fake_certificate
from tiphys.ingress.plan import Snapshot, plan
from tiphys.ingress.selection import is_ours, our_classes
from tiphys.ingress.table import Certificate, Endpoint, Match, Options, Plan, Problem

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def a_path(path: str, service: str = "web", kind: str = "Prefix", port: Any = 80) -> Obj:
    wanted = {"name": port} if isinstance(port, str) else {"number": port}
    return {
        "path": path,
        "pathType": kind,
        "backend": {"service": {"name": service, "port": wanted}},
    }


def an_ingress(name: str = "i", *rules: Obj, age: int = 0, **spec: Any) -> Obj:
    annotations = {PREFIX + k: v for k, v in spec.pop("annotations", {}).items()}
    created = (NOW - timedelta(days=age)).strftime("%Y-%m-%dT%H:%M:%SZ")
    meta = {"namespace": "ns", "name": name, "creationTimestamp": created}
    return {"metadata": {**meta, "annotations": annotations}, "spec": {"rules": rules, **spec}}


def a_rule(host: str, *paths: Obj) -> Obj:
    return {"host": host, "http": {"paths": list(paths)}}


def a_service(name: str = "web", **spec: Any) -> Obj:
    ports = [{"name": "http", "port": 80, "targetPort": 8080}, {"name": "adm", "port": 81}]
    return {"metadata": {"namespace": "ns", "name": name}, "spec": {"ports": ports, **spec}}


def a_slice(*endpoints: Obj, service: str = "web", **more: Any) -> Obj:
    labels = {"kubernetes.io/service-name": service}
    ports = [{"name": "http", "port": 8080}, {"name": "adm", "port": 9090}]
    return {
        "metadata": {"namespace": "ns", "name": "s", "labels": labels},
        "addressType": "IPv4",
        "ports": ports,
        "endpoints": list(endpoints),
        **more,
    }


def an_endpoint(address: str, **conditions: bool) -> Obj:
    return {"addresses": [address], "conditions": conditions}


def a_secret(certificate: Certificate, name: str = "pair") -> Obj:
    data = {"tls.crt": certificate.chain, "tls.key": certificate.key}
    encoded = {k: base64.b64encode(v).decode() for k, v in data.items()}
    return {"metadata": {"namespace": "ns", "name": name}, "data": encoded}


def planned(*ingresses: Obj, secrets: tuple[Obj, ...] = ()) -> tuple[Plan, list[Problem]]:
    services = [a_service(), a_service("api"), a_service("alias", type="ExternalName")]
    return plan(
        Snapshot(
            NOW,
            ingresses,
            services={key_of(s): s for s in services},
            slices=[a_slice(an_endpoint("10.0.0.1")), a_slice(an_endpoint("10.0.0.2"))],
            secrets={key_of(s): s for s in secrets},
        )
    )


def shown(found: Plan) -> dict[str, list[tuple[str, str, str]]]:
    return {
        name: [(i.match.value, i.path, i.backend.name) for i in host.locations]
        for name, host in found.hosts.items()
    }


def test_paths_are_in_the_order_of_trying() -> None:
    rule = a_rule(
        "A.test", a_path("/"), a_path("/foo/", "api"), a_path("/foo/bar"),
        a_path("/foo", "api", "Exact"), a_path("/own", kind="ImplementationSpecific"),
    )  # fmt: skip
    found, problems = planned(an_ingress("i", rule))
    assert problems == []
    assert shown(found) == {
        "a.test": [
            ("exact", "/foo", "ns/api:80"),
            ("prefix", "/foo/bar", "ns/web:80"),
            ("prefix", "/foo", "ns/api:80"),
            ("prefix", "/own", "ns/web:80"),
            ("prefix", "", "ns/web:80"),
        ]
    }
    endpoints = found.hosts["a.test"].locations[-1].backend.endpoints
    assert endpoints == (Endpoint("10.0.0.1", 8080), Endpoint("10.0.0.2", 8080))


def test_the_oldest_has_a_path_that_several_claim() -> None:
    old = an_ingress("old", a_rule("a.test", a_path("/x", "api")), age=2)
    new = an_ingress("new", a_rule("a.test", a_path("/x/"), a_path("/y")), age=1)
    found, problems = planned(new, old)
    assert shown(found)["a.test"] == [
        ("prefix", "/x", "ns/api:80"),
        ("prefix", "/y", "ns/web:80"),
    ]
    assert problems == [
        Problem(
            ObjectKey("ns", "new"),
            "Conflict",
            'path "/x" of host "a.test" is already taken by ns/old',
        )
    ]


def test_a_default_backend_takes_what_is_left() -> None:
    default = {"service": {"name": "api", "port": {"name": "adm"}}}
    first = an_ingress("a", a_rule("a.test", a_path("/x")), defaultBackend=default, age=2)
    second = an_ingress("b", {"http": {"paths": [a_path("/")]}}, a_rule("b.test", a_path("/")))
    found, problems = planned(first, second)
    assert problems == []
    assert shown(found) == {
        "a.test": [("prefix", "/x", "ns/web:80"), ("prefix", "", "ns/api:81")],
        "": [("prefix", "", "ns/web:80")],
        "b.test": [("prefix", "", "ns/web:80")],
    }
    alone, _ = planned(an_ingress("a", defaultBackend=default))
    assert shown(alone) == {"": [("prefix", "", "ns/api:81")]}
    assert alone.hosts[""].locations[0].backend.endpoints == ()


@pytest.mark.parametrize(
    ("path", "reason", "message"),
    [
        (a_path("/", "nobody"), "ServiceNotFound", 'Service "ns/nobody" does not exist'),
        (a_path("/", port=8), "PortNotFound", 'Service "ns/web" has no port 8'),
        (a_path("/", port="no"), "PortNotFound", 'Service "ns/web" has no port no'),
        (a_path("/", "alias"), "Unsupported",
         'Service "ns/alias" is a name for another name: it has no endpoints to send to'),
        ({"path": "/", "pathType": "Prefix", "backend": {"resource": {"kind": "X"}}},
         "Unsupported", "backends that are no Service are not served"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_backend(path: Obj, reason: str, message: str) -> None:
    found, problems = planned(an_ingress("i", a_rule("a.test", path, a_path("/ok"))))
    assert problems == [Problem(ObjectKey("ns", "i"), reason, message)]
    assert found.hosts["a.test"].locations[-1].backend.endpoints == ()
    assert found.hosts["a.test"].locations[0].backend.endpoints != ()


def test_patterns_only_where_they_are_asked_for() -> None:
    rule = a_rule("a.test", a_path("/a(/|$)(.*)", kind="ImplementationSpecific"), a_path("/b"))
    plain, _ = planned(an_ingress("i", rule))
    assert [i.match for i in plain.hosts["a.test"].locations] == [Match.PREFIX, Match.PREFIX]
    found, problems = planned(an_ingress("i", rule, annotations={"rewrite-target": "/$2"}))
    assert [i.match for i in found.hosts["a.test"].locations] == [Match.REGEX, Match.PREFIX]
    broken = a_rule("a.test", a_path("/a(", kind="ImplementationSpecific"), a_path("/a\nb"))
    found, problems = planned(an_ingress("i", broken, annotations={"use-regex": "true"}))
    assert found.hosts["a.test"].locations == ()
    assert [p.reason for p in problems] == ["BadPath", "BadPath"]


def made(name: str, now: datetime = NOW) -> Certificate:
    return fake_certificate(now, name)


def test_certificates_go_to_the_hosts_that_ask_for_them() -> None:
    own, wild = made("a.test"), made("*.b.test")
    secrets = (a_secret(own, "own"), a_secret(wild, "wild"))
    tls = [{"hosts": ["a.test"], "secretName": "own"}, {"secretName": "wild"}]
    rules = [a_rule(h, a_path("/")) for h in ("a.test", "x.b.test", "*.b.test", "c.test")]
    found, problems = planned(an_ingress("i", *rules, tls=tls), secrets=secrets)
    assert problems == []
    assert {n: h.certificate for n, h in found.hosts.items()} == {
        "a.test": own,
        "x.b.test": wild,
        "*.b.test": wild,
        "c.test": None,
    }


@pytest.mark.parametrize(
    ("secret", "reason", "message"),
    [
        (None, "SecretNotFound", 'Secret "ns/pair" does not exist'),
        ({"data": {}}, "BadCertificate", 'Secret "ns/pair": it has no tls.crt'),
        ({"data": {"tls.crt": "eA==", "tls.key": "eA=="}}, "BadCertificate",
         'Secret "ns/pair": tls.crt or tls.key is no PEM'),
        ("other key", "BadCertificate", 'Secret "ns/pair": tls.key is not the key of tls.crt'),
        ("other name", "BadCertificate",
         'the certificate of Secret "pair" is not for host "a.test"'),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_certificate(secret: Any, reason: str, message: str) -> None:
    if secret == "other key":
        secret = a_secret(Certificate(made("a.test").chain, made("a.test").key))
    elif secret == "other name":
        secret = a_secret(made("b.test"))
    elif secret is not None:
        secret = {"metadata": {"namespace": "ns", "name": "pair"}, **secret}
    tls = [{"hosts": ["a.test"], "secretName": "pair"}]
    ingress = an_ingress("i", a_rule("a.test", a_path("/")), tls=tls)
    found, problems = planned(ingress, secrets=(secret,) if secret else ())
    assert [p.reason for p in problems] == [reason]
    assert problems[0].message.startswith(message)
    assert found.hosts["a.test"].certificate is None


def test_an_expired_certificate_is_served_and_told() -> None:
    old = made("a.test", NOW - timedelta(days=400))
    tls = [{"hosts": ["a.test"], "secretName": "pair"}]
    ingress = an_ingress("i", a_rule("a.test", a_path("/")), tls=tls)
    found, problems = planned(ingress, secrets=(a_secret(old),))
    assert found.hosts["a.test"].certificate == old
    assert "expired at 2026-04" in problems[0].message


@pytest.mark.parametrize(
    ("endpoints", "expected"),
    [
        ([an_endpoint("10.0.0.1", ready=True), an_endpoint("10.0.0.2", ready=False)], ["10.0.0.1"]),
        ([an_endpoint("10.0.0.1")], ["10.0.0.1"]),
        ([an_endpoint("10.0.0.1", ready=False, serving=True, terminating=True),
          an_endpoint("10.0.0.2", ready=False, serving=False, terminating=True)], ["10.0.0.1"]),
        ([an_endpoint("10.0.0.1", ready=False, serving=True, terminating=True),
          an_endpoint("10.0.0.2", ready=True)], ["10.0.0.2"]),
        ([an_endpoint("10.0.0.1", ready=False)], []),
    ],
)  # fmt: skip
def test_which_endpoints_answer(endpoints: list[Obj], expected: list[str]) -> None:
    found = endpoints_of([a_slice(*endpoints)], {"name": "http", "port": 80})
    assert [e.address for e in found] == expected


def test_ports_go_by_name_and_only_tcp_over_ipv4() -> None:
    one = an_endpoint("10.0.0.1")
    assert endpoints_of([a_slice(one)], {"name": "adm"}) == (Endpoint("10.0.0.1", 9090),)
    assert endpoints_of([a_slice(one, addressType="IPv6")], {"name": "adm"}) == ()
    udp = a_slice(one, ports=[{"name": "http", "port": 1, "protocol": "UDP"}])
    assert endpoints_of([udp], {"name": "http"}) == ()
    nameless = a_slice(one, ports=[{"name": "", "port": 5}])
    assert endpoints_of([nameless], {"port": 80}) == (Endpoint("10.0.0.1", 5),)


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        ({}, Options()),
        ({"rewrite-target": "/$1"}, Options(rewrite_target="/$1")),
        ({"ssl-redirect": "false"}, Options(ssl_redirect=False)),
        ({"force-ssl-redirect": "true"}, Options(force_ssl_redirect=True)),
        ({"backend-protocol": "HTTPS"}, Options(backend_tls=True)),
        ({"proxy-body-size": "8m"}, Options(body_bytes_max=8 << 20)),
        ({"proxy-body-size": "0"}, Options()),
        ({"proxy-read-timeout": "3600"}, Options(read_seconds=3600)),
    ],
)
def test_annotations(annotations: dict[str, str], expected: Options) -> None:
    assert options_of({PREFIX + k: v for k, v in annotations.items()}) == (expected, [])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("rewrite-target", "http://elsewhere/"),
        ("rewrite-target", "/$request_uri"),
        ("rewrite-target", '/"; return 200 "x'),
        ("rewrite-target", "/a b"),
        ("ssl-redirect", "yes"),
        ("backend-protocol", "GRPC"),
        ("proxy-body-size", "8 mb"),
        ("proxy-read-timeout", "60s"),
        ("proxy-read-timeout", "0"),
    ],
)
def test_annotations_that_cannot_be_read_are_left_out_and_told(name: str, text: str) -> None:
    options, problems = options_of({PREFIX + name: text})
    assert options == Options()
    assert [p.startswith(f"annotation {PREFIX}{name} is left out: ") for p in problems] == [True]


def test_which_ingresses_are_ours() -> None:
    classes = our_classes(
        [
            {"metadata": {"name": "nginx"}, "spec": {"controller": "k8s.io/ingress-nginx"}},
            {"metadata": {"name": "other"}, "spec": {"controller": "example.com/x"}},
        ]
    )
    assert classes == {"nginx"}

    def ours(noted: str | None, named: str | None) -> bool:
        notes = {} if noted is None else {"kubernetes.io/ingress.class": noted}
        spec = {} if named is None else {"ingressClassName": named}
        return is_ours({"metadata": {"annotations": notes}, "spec": spec}, classes)

    assert [ours(None, n) for n in (None, "nginx", "other", "gone")] == [True, True, False, False]
    assert [ours(n, None) for n in ("nginx", "traefik")] == [True, False]
