"""Descriptions as upstream has them, out of docstrings that wrap them."""

import orjson
import pytest

from tiphys.api import enums
from tiphys.apiserver.openapi import v3
from tiphys.apiserver.openapi.descriptions import descriptions_of, read_module

# The last line but one is as long as one that leaves room for "A" behind one space, not two.
LAST = "As here, where this line is exactly of so many characters that here it ends."
MODULE = f'''
class Thing(DictMixin):
    r"""Thing is a thing that has words in it, so many that they do not fit into the
      line.

      **parameters**

      * **name** ``Optional[str]`` - Names the thing.
        More lines after one that had room begin a paragraph, which has words, many of
        them.
      * **size** ``int``
      * **note** ``Optional[str]`` - {LAST}
        A word.
    """
    name: 'Optional[str]' = None
'''


def test_wrapped_lines_are_joined_and_paragraphs_kept_apart() -> None:
    ((name, found),) = read_module(MODULE)
    assert name == "Thing"
    assert found.text == (
        "Thing is a thing that has words in it, so many that they do not fit into the line."
    )
    assert found.fields["name"] == (
        "Names the thing.\n\nMore lines after one that had room begin a paragraph, which has"
        " words, many of them."
    )
    assert found.fields["size"] == ""
    assert found.fields["note"].endswith("here it ends.  A word.")


def test_every_served_kind_is_described() -> None:
    """One document of each package, whose texts come from a module of their own."""
    for path in v3.document_paths():
        raw = v3.document_bytes(path, "v1")
        assert raw is not None
        for name, schema in orjson.loads(raw)["components"]["schemas"].items():
            if "x-kubernetes-group-version-kind" in schema:
                assert schema.get("description"), name


def test_a_package_without_a_module_is_left_out() -> None:
    assert descriptions_of(["am.version.Info"]) == {}


@pytest.mark.parametrize(
    ("package", "name", "wanted"),
    [
        pytest.param("core.v1", "PullPolicy", ("Always", "IfNotPresent", "Never"), id="own"),
        pytest.param("networking.v1", "Protocol", ("SCTP", "TCP", "UDP"), id="of-the-core"),
        pytest.param("core.v1", "IPFamily", ("", "IPv4", "IPv6"), id="empty-is-a-value"),
        pytest.param("meta.v1", "UID", (), id="no-enumeration"),
    ],
)
def test_enumerations(package: str, name: str, wanted: tuple[str, ...]) -> None:
    assert enums.values_of(package, name) == wanted


def test_enumerations_and_numbers_or_strings_are_in_the_documents_of_v3() -> None:
    raw = v3.document_bytes("apis/apps/v1", "v1")
    assert raw is not None
    schemas = orjson.loads(raw)["components"]["schemas"]
    container = schemas["io.k8s.api.core.v1.Container"]["properties"]
    assert container["imagePullPolicy"]["enum"] == ["Always", "IfNotPresent", "Never"]
    number = schemas["io.k8s.apimachinery.pkg.util.intstr.IntOrString"]
    assert number["oneOf"] == [{"type": "integer"}, {"type": "string"}]
