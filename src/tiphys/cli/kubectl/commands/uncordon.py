"""`kubectl uncordon NODE...`: new pods may come to these nodes again."""

import argparse
from collections.abc import Sequence

from tiphys.cli.kubectl.client import KubeClient
from tiphys.cli.kubectl.cordoning import set_unschedulable


def run(kube: KubeClient, arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="kubectl uncordon")
    parser.add_argument("nodes", nargs="+")
    for name in parser.parse_args(arguments).nodes:
        set_unschedulable(kube, name, wanted=False)
    return 0
