"""`kubectl version`."""

import argparse
from collections.abc import Sequence

from tiphys import UPSTREAM_VERSION, __version__
from tiphys.cli.kubectl.client import KubeClient


def run(kube: KubeClient, arguments: Sequence[str]) -> int:
    argparse.ArgumentParser(prog="kubectl version").parse_args(arguments)
    print(f"Client Version: {UPSTREAM_VERSION}+tiphys.{__version__}")
    print(f"Server Version: {kube.request('GET', '/version')['gitVersion']}")
    return 0
