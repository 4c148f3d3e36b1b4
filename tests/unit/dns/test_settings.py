"""The ConfigMap kube-system/kube-dns: whom it names, and which mistakes it tells."""

import pytest

from tiphys.api.meta import Obj
from tiphys.dns.settings import Settings, SettingsError, Upstream, settings

DOMAIN = "cluster.local"


def config_map(**data: str) -> Obj:
    return {"data": data}


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        pytest.param(None, Settings(), id="none"),
        pytest.param({}, Settings(), id="empty"),
        pytest.param(config_map(stubDomains=" \n"), Settings(), id="blank"),
        pytest.param(
            config_map(stubDomains='{"Acme.Local.": ["10.1.2.3", "10.1.2.4:5353"]}'),
            Settings({"acme.local": (Upstream("10.1.2.3"), Upstream("10.1.2.4", 5353))}),
            id="stub",
        ),
        pytest.param(
            config_map(upstreamNameservers='["9.9.9.9", "[2001:db8::1]:54", "2001:db8::2"]'),
            Settings(
                {},
                (Upstream("9.9.9.9"), Upstream("2001:db8::1", 54), Upstream("2001:db8::2")),
            ),
            id="upstreams",
        ),
    ],
)
def test_settings(given: Obj | None, wanted: Settings) -> None:
    assert settings(given, DOMAIN) == wanted


@pytest.mark.parametrize(
    ("given", "words"),
    [
        pytest.param(config_map(stubDomains="{"), "stubDomains is not JSON", id="no-json"),
        pytest.param(config_map(stubDomains="[]"), "must look like", id="a-list"),
        pytest.param(config_map(stubDomains='{"a": "1.2.3.4"}'), "stubDomains.a must", id="a-word"),
        pytest.param(config_map(stubDomains='{"a": []}'), "stubDomains.a must", id="no-server"),
        pytest.param(config_map(stubDomains='{"a": ["ns.b"]}'), '"ns.b" is neither', id="a-name"),
        pytest.param(config_map(stubDomains='{"a b": ["1.2.3.4"]}'), "no domain", id="no-domain"),
        pytest.param(
            config_map(stubDomains='{"x.cluster.local": ["1.2.3.4"]}'), "own domain", id="ours"
        ),
        pytest.param(
            config_map(upstreamNameservers='["1.1.1.1:70000"]'), "is neither", id="a-port"
        ),
        pytest.param(
            config_map(upstreamNameservers='["1.1.1.1","1.1.1.2","1.1.1.3","1.1.1.4"]'),
            "more than 3",
            id="too-many",
        ),
        pytest.param(config_map(stubdomains="{}"), '"stubdomains" is no key', id="key"),
    ],
)
def test_mistakes(given: Obj, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        settings(given, DOMAIN)


def test_the_longest_domain_decides() -> None:
    short, long = (Upstream("1.1.1.1"),), (Upstream("2.2.2.2"),)
    found = Settings({"corp": short, "lab.corp": long})
    assert found.stub_for("x.lab.corp") == long
    assert found.stub_for("lab.corp") == long
    assert found.stub_for("xlab.corp") == short
    assert found.stub_for("example.com") == ()
