"""`kubectl get`: tables, objects, names, and what changes (-w)."""

import argparse
import sys
from collections.abc import Sequence

from tiphys.api.meta import Obj
from tiphys.cli.kubectl import printers
from tiphys.cli.kubectl.client import TABLE, KubeClient, path_of
from tiphys.cli.kubectl.resource_args import Kind, Target, targets
from tiphys.cli.output import table

Found = list[tuple[Kind, Obj]]


def run(kube: KubeClient, arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="kubectl get")
    parser.add_argument("resources", nargs="*")
    parser.add_argument("-A", "--all-namespaces", action="store_true")
    parser.add_argument("-l", "--selector", default="")
    parser.add_argument("--field-selector", default="")
    parser.add_argument("-o", "--output", default="")
    parser.add_argument("-w", "--watch", action="store_true")
    parser.add_argument("--no-headers", action="store_true")
    parser.add_argument("--ignore-not-found", action="store_true")
    options = parser.parse_args(arguments)
    printers.check_format(options.output)
    wanted = targets(kube, options.resources)
    as_table = options.output in ("", "wide")
    found: Found = []
    for target in wanted:
        answer = _get(kube, target, options, TABLE if as_table else "application/json")
        found.append((target.kind, answer))
    if as_table:
        shown = _print_tables(kube, found, options)
    else:
        shown = _print_objects(found, wanted, options)
    if options.watch:
        _watch(kube, wanted[0], found[0][1], options)
    return shown


def _namespace(kube: KubeClient, kind: Kind, options: argparse.Namespace) -> str:
    return "" if options.all_namespaces or not kind.namespaced else kube.namespace


def _get(kube: KubeClient, target: Target, options: argparse.Namespace, accept: str) -> Obj:
    path = path_of(target.kind.gvr, _namespace(kube, target.kind, options), target.name)
    query = {} if target.name else _selectors(options)
    return kube.request("GET", path, query=query, accept=accept)


def _selectors(options: argparse.Namespace) -> dict[str, str]:
    return {"labelSelector": options.selector, "fieldSelector": options.field_selector}


def _print_tables(kube: KubeClient, found: Found, options: argparse.Namespace) -> int:
    """One table per type; objects named one by one share theirs."""
    filled = [(kind, t) for kind, t in found if t.get("rows")]
    if not filled:
        if not options.ignore_not_found:
            print(_nothing(kube, found[0][0], options), file=sys.stderr)
        return 0
    kinds = list(dict.fromkeys(kind for kind, _ in found))
    for number, kind in enumerate(k for k in kinds if any(k == f[0] for f in filled)):
        header, rows = printers.table_rows(
            [f for f in filled if f[0] == kind],
            wide=options.output == "wide",
            all_namespaces=options.all_namespaces and kind.namespaced,
            with_kind=len(kinds) > 1,
        )
        text = table(header, rows)
        if number:
            print()
        print(text.split("\n", 1)[1] if options.no_headers else text, flush=True)
    return 0


def _nothing(kube: KubeClient, kind: Kind, options: argparse.Namespace) -> str:
    if options.all_namespaces or not kind.namespaced:
        return "No resources found"
    return f"No resources found in {kube.namespace} namespace."


def _print_objects(found: Found, wanted: Sequence[Target], options: argparse.Namespace) -> int:
    objects: list[Obj] = []
    names: list[str] = []
    for (kind, answer), target in zip(found, wanted, strict=True):
        items = [answer] if target.name else _items(answer)
        objects += items
        names += [printers.named(kind, item) for item in items]
    if options.output == "name":
        if names:
            print("\n".join(names))
    else:
        single = len(wanted) == 1 and bool(wanted[0].name)
        print(printers.as_text(objects, options.output, single=single), flush=True)
    return 0


def _items(answer: Obj) -> list[Obj]:
    """A list's items with the type that the list spells once."""
    kind = str(answer.get("kind", "")).removesuffix("List")
    typed = {"apiVersion": answer.get("apiVersion", "v1"), "kind": kind}
    return [typed | item for item in answer.get("items") or []]


def _watch(kube: KubeClient, target: Target, first: Obj, options: argparse.Namespace) -> None:
    """Rows as they change, until interrupted."""
    query: dict[str, object] = {"watch": True, **_selectors(options)}
    query["resourceVersion"] = (first.get("metadata") or {}).get("resourceVersion", "")
    if target.name:
        query["fieldSelector"] = f"metadata.name={target.name}"
    path = path_of(target.kind.gvr, _namespace(kube, target.kind, options))
    as_table = options.output in ("", "wide")
    definitions = first.get("columnDefinitions") or []
    for event in kube.lines(path, query, TABLE if as_table else "application/json"):
        obj = event["object"]
        if not as_table:
            print(printers.as_text([obj], options.output, single=True), flush=True)
            continue
        definitions = obj.get("columnDefinitions") or definitions
        obj["columnDefinitions"] = definitions
        header, rows = printers.table_rows(
            [(target.kind, obj)],
            wide=options.output == "wide",
            all_namespaces=options.all_namespaces,
            with_kind=False,
        )
        for row in rows:
            print("   ".join(cell.ljust(len(h)) for h, cell in zip(header, row, strict=True)))
        sys.stdout.flush()
