"""`tiphys image history NAME`: its steps, the newest first, with the bytes that each added."""

import argparse
import json
from collections.abc import Sequence
from typing import Any

from tiphys.cli.arguments import Parser
from tiphys.cli.output import table
from tiphys.cluster.commands.image import images
from tiphys.runtime.images.stored_image import StoredImage

WIDTH_MAX = 60


def run(name: str, arguments: Sequence[str]) -> int:
    parser = Parser(prog="tiphys image history", description="show the steps")
    parser.add_argument("image")
    parser.add_argument("--no-trunc", action="store_true", help="whole steps")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
    options = parser.parse_args(arguments)
    rows = steps(images.found(images.storage(), options.image))
    if options.output == "json":
        print(json.dumps(rows))
        return 0
    print(table(["IMAGE", "CREATED", "CREATED BY", "SIZE"], [_shown(r, options) for r in rows]))
    return 0


def steps(image: StoredImage) -> list[dict[str, Any]]:
    """The newest first; only the newest has an id, as in Docker."""
    layers = list(image.layers)
    found = []
    for row in image.history or [{"created_by": ""} for _ in layers]:
        empty = bool(row.get("empty_layer")) or not layers
        layer = None if empty else layers.pop(0)
        found.append(
            {
                "id": "<missing>",
                "created": row.get("created", ""),
                "createdBy": row.get("created_by", ""),
                "sizeBytes": layer.size if layer else 0,
                "layer": layer.diff_id if layer else "",
            }
        )
    if found:
        found[-1]["id"] = image.id
    return found[::-1]


def _shown(row: dict[str, Any], options: argparse.Namespace) -> list[str]:
    text = " ".join(str(row["createdBy"]).split())
    if len(text) > WIDTH_MAX and not options.no_trunc:
        text = text[: WIDTH_MAX - 1] + "…"
    identity = row["id"] if row["id"] == "<missing>" else row["id"][7:19]
    return [identity, row["created"], text, images.size(row["sizeBytes"])]
