"""The Ingress controller as a process of a node. Nothing of it is imported but in that process."""

from collections.abc import Coroutine
from typing import Any, Final

from tiphys.cluster import access
from tiphys.cluster.components import CONTROL, component
from tiphys.cluster.profile import Node, Profile
from tiphys.cluster.supervisor import Component

NAME: Final = "ingress"


def components(profile: Profile) -> list[Component]:
    """One, on the node whose address `tiphys ip` tells, or the first that is on."""
    node = place(profile)
    if not profile.ingress or node is None:
        return []
    return [component(profile, NAME, CONTROL, lambda: _work(profile, node), node)]


def place(profile: Profile) -> Node | None:
    """Where it runs."""
    return next(iter(profile.running_nodes), None)


def _work(profile: Profile, node: Node) -> Coroutine[Any, Any, None]:
    from tiphys.ingress import run
    from tiphys.ingress.config import IngressConfig

    config = IngressConfig(
        kubeconfig=access.path_for(profile, NAME),
        address=node.address,
        directory=profile.node_run_directory(node) / NAME,
        data_plane=profile.ingress,
    )
    return run.run(config)
