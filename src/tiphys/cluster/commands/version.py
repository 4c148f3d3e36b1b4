"""`tiphys version [--short] [-o json|yaml]`: of tiphys and of the Kubernetes API it serves."""

import json
import platform
from collections.abc import Sequence

from tiphys import UPSTREAM_VERSION, __version__
from tiphys.cli.arguments import Parser


def run(name: str, arguments: Sequence[str]) -> int:
    parser = Parser(prog="tiphys version", description="print the version")
    parser.add_argument("--short", action="store_true", help="the version of tiphys alone")
    parser.add_argument("--components", action="store_true", help="Python, kernel and SQLite too")
    parser.add_argument("-o", "--output", choices=("text", "json", "yaml"), default="text")
    options = parser.parse_args(arguments)
    found = {"tiphysVersion": __version__, "kubernetesVersion": UPSTREAM_VERSION}
    if options.components:
        found |= _components()
    if options.output == "json":
        print(json.dumps(found))
    elif options.output == "yaml":
        print("\n".join(f"{key}: {value}" for key, value in found.items()))
    elif options.short:
        print(__version__)
    else:
        print(f"tiphys {__version__} (Kubernetes {UPSTREAM_VERSION})")
        print("".join(f"{key}: {value}\n" for key, value in list(found.items())[2:]), end="")
    return 0


def _components() -> dict[str, str]:
    import sqlite3

    return {
        "pythonVersion": platform.python_version(),
        "kernelVersion": platform.release(),
        "sqliteVersion": sqlite3.sqlite_version,
    }
