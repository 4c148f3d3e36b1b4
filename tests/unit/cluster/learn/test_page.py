"""Pages of the guide: what is read of them, what is refused."""

import pytest

from tiphys.cluster.learn.guide import pages
from tiphys.cluster.learn.page import Command, File, PageError, Text, parse

PAGE = """# Title

Some text.

```console
$ kubectl get nodes
NAME
n
$ URL=$(tiphys service web --url)
```

```yaml file=a/b.yaml
kind: X
```

```text
only shown
```

```console until
$ curl -s $URL
Hello
```
"""


def test_parts_in_their_order() -> None:
    found = list(parse(PAGE))
    assert found == [
        Text("# Title\n\nSome text."),
        Command("kubectl get nodes", ("kubectl", "get", "nodes"), "NAME\nn", False),
        Command(
            "URL=$(tiphys service web --url)",
            ("tiphys", "service", "web", "--url"),
            "",
            False,
            "URL",
        ),
        File("a/b.yaml", "kind: X\n"),
        Text("```text\nonly shown\n```"),
        Command("curl -s $URL", ("curl", "-s", "$URL"), "Hello", True),
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("```console\n$ kubectl get nodes\n", "line 1: a block without an end"),
        ("\n```console\nno prompt\n```\n", "line 2: a console block begins with a command"),
        ("```console\n$ rm -rf /\n```\n", "runs none of curl, kubectl, tiphys"),
        ("```yaml file=../x\n```\n", "../x is not below the folder"),
        ("```yaml file=/etc/x\n```\n", "/etc/x is not below the folder"),
    ],
)
def test_refused(text: str, why: str) -> None:
    with pytest.raises(PageError, match=why):
        list(parse(text))


def test_the_guide_has_a_page_per_concept() -> None:
    names = [page.name for page in pages()]
    assert len(names) == len(set(names))
    assert {"cluster", "containers", "images", "pods", "deployments", "services"} <= set(names)
    assert all(any(isinstance(p, Command) for p in page.parts) for page in pages())
