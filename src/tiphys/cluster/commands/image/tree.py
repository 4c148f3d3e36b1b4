"""`tiphys image tree`: which image is forked from which, what each adds and what it shares."""

import json
from collections.abc import Sequence
from typing import Any

from tiphys.cli.arguments import Parser
from tiphys.cli.output import table
from tiphys.cluster.commands.image import images
from tiphys.runtime.images import ancestry
from tiphys.runtime.images.ancestry import Branch
from tiphys.runtime.images.stored_image import familiar


def run(name: str, arguments: Sequence[str]) -> int:
    parser = Parser(prog="tiphys image tree", description="draw the images")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
    options = parser.parse_args(arguments)
    every = [(familiar(name), image) for name, image in images.every(images.storage())]
    roots = ancestry.forest(every)
    if options.output == "json":
        print(json.dumps([_document(root) for root in roots]))
        return 0
    lines = [
        [text, images.size(b.added_bytes), images.size(b.shared_bytes), b.image.id[7:19]]
        for text, b in ancestry.draw(roots)
    ]
    print(table(["IMAGE", "ADDS", "SHARES", "ID"], lines) if lines else "No images")
    return 0


def _document(branch: Branch) -> dict[str, Any]:
    return {
        "names": branch.names,
        "id": branch.image.id,
        "addedBytes": branch.added_bytes,
        "sharedBytes": branch.shared_bytes,
        "layers": [layer.diff_id for layer in branch.image.layers],
        "children": [_document(child) for child in branch.children],
    }
