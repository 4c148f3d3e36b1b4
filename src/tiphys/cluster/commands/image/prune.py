"""`tiphys image prune`: remove layers that no image has, those of old builds among them."""

from collections.abc import Sequence

from tiphys.cli.arguments import Parser
from tiphys.cluster.commands.image import images


def run(name: str, arguments: Sequence[str]) -> int:
    parser = Parser(prog="tiphys image prune", description="remove layers that no image has")
    parser.parse_args(arguments)
    storage = images.storage()
    before = {digest: storage.blob_size(digest) for digest in storage.blobs()}
    freed = 0
    for digest in storage.sweep():
        freed += before.get(digest, 0)
        print(f"deleted: {digest}")
    print(f"Total reclaimed space: {images.size(freed)}")
    return 0
