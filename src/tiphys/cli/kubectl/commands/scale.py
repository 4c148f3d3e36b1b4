"""`kubectl scale --replicas=N TYPE/NAME`."""

import argparse
from collections.abc import Sequence

from tiphys.cli.kubectl.client import KubeClient, path_of
from tiphys.cli.kubectl.resource_args import targets
from tiphys.cli.output import CommandError


def run(kube: KubeClient, arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="kubectl scale")
    parser.add_argument("resources", nargs="+")
    parser.add_argument("--replicas", type=int, required=True)
    parser.add_argument("--current-replicas", type=int, default=-1)
    options = parser.parse_args(arguments)
    for target in targets(kube, options.resources):
        if not target.name:
            raise CommandError("resource(s) were provided, but no name was specified")
        path = path_of(target.kind.gvr, kube.namespace, target.name, "scale")
        if options.current_replicas >= 0:
            have = kube.request("GET", path)["spec"].get("replicas", 0)
            if have != options.current_replicas:
                raise CommandError(
                    f"Expected replicas to be {options.current_replicas}, was {have}"
                )
        patch = {"spec": {"replicas": options.replicas}}
        kube.request("PATCH", path, patch, content_type="application/merge-patch+json")
        print(f"{target.kind.qualified}/{target.name} scaled")
    return 0
