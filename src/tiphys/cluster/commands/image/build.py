"""`tiphys image build -t NAME [-f FILE] CONTEXT`: an image from a Dockerfile, for every node.

RUN uses the network of the profile's first node, or the machine's when the profile does not run.
"""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Sequence

from tiphys.cli.arguments import Parser
from tiphys.cli.output import CommandError
from tiphys.cluster import image_build
from tiphys.cluster.commands.image import images
from tiphys.cluster.image_build import Request
from tiphys.runtime.build.builder import NETWORKS, BuildError, Options
from tiphys.runtime.build.dockerfile import DockerfileError


def run(name: str, arguments: Sequence[str]) -> int:
    options = _parser().parse_args(arguments)
    request = Request(
        profile=name,
        context=options.context,
        file=options.file,
        names=[images.reference(tag) for tag in options.tag],
        pull=options.pull,
        quiet=options.quiet,
        certs_dir=options.certs_dir,
        options=Options(
            build_args=dict(_pair(text, os.environ) for text in options.build_arg),
            labels=dict(_pair(text, {}) for text in options.label),
            target=options.target,
            no_cache=options.no_cache,
            epoch=_epoch(os.environ.get("SOURCE_DATE_EPOCH", "")),
            network=options.network,
        ),
    )
    if os.geteuid() != 0:
        raise CommandError(
            "a build needs root: it mounts images and starts containers",
            fix="sudo",
            reason="NOT_ROOT",
        )
    try:
        identity = asyncio.run(_build(request, options))
    except BuildError as exc:
        raise CommandError(f"failed to build: {exc}", fix=exc.fix, reason="IMAGE_BUILD") from exc
    except DockerfileError as exc:
        raise CommandError(
            f"failed to build: {exc}", fix="correct the Dockerfile", reason="IMAGE_BUILD"
        ) from exc
    if options.iidfile:
        with open(options.iidfile, "w") as file:
            file.write(identity)
    print(identity if options.quiet else f"Successfully built {identity[7:19]}")
    for reference in request.names:
        if not options.quiet:
            print(f"Successfully tagged {reference.path}:{reference.tag}")
    return 0


async def _build(request: Request, options: argparse.Namespace) -> str:
    task = asyncio.current_task()
    assert task is not None
    # As Ctrl-C: what runs is ended and nothing is left.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await image_build.build(
        images.storage(),
        request,
        lambda host: images.credentials(options, host),
        lambda text: None if options.quiet else print(text, flush=True),
        _no_output if options.quiet else _output,
    )


def _output(data: bytes) -> None:
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def _no_output(data: bytes) -> None:
    return None


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="tiphys image build", description="build an image")
    parser.add_argument("context", metavar="CONTEXT", help="a directory; - reads a Dockerfile")
    parser.add_argument("-t", "--tag", action="append", default=[], help="name[:tag]")
    parser.add_argument("-f", "--file", default="", help="default: CONTEXT/Dockerfile")
    parser.add_argument("--build-arg", action="append", default=[], metavar="NAME[=VALUE]")
    parser.add_argument("--label", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--target", default="", help="the stage to build")
    parser.add_argument("--no-cache", action="store_true", help="do every step again")
    parser.add_argument("--pull", action="store_true", help="ask for newer base images")
    parser.add_argument("--network", choices=NETWORKS, default="default", help="of RUN")
    parser.add_argument("--iidfile", default="", help="write the image's id to a file")
    parser.add_argument("-q", "--quiet", action="store_true", help="print the image's id only")
    images.add_registry_flags(parser)
    return parser


def _pair(text: str, environ: "dict[str, str] | os._Environ[str]") -> tuple[str, str]:
    """NAME=VALUE; NAME alone takes the value from the environment."""
    name, equals, value = text.partition("=")
    return name, value if equals else environ.get(name, "")


def _epoch(text: str) -> int | None:
    if not text:
        return None
    if not text.isdigit():
        raise CommandError(
            f"SOURCE_DATE_EPOCH is {text!r}", fix="seconds since 1970", reason="BAD_VALUE"
        )
    return int(text)
