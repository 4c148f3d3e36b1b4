"""The machines of a profile: which there are, what a new one is called, where it is. Pure."""

from dataclasses import replace
from ipaddress import IPv4Network
from typing import Final

from tiphys.cluster.profile import WORKER, Node, Profile, ProfileError

NODES_MAX: Final = 64  # Below the load balancers' half of the node range; memory ends sooner.
MASTERS_MAX: Final = 7  # etcd's advice: more members make every write slower.
_FIRST_HOST: Final = 2  # The network's own address and the host's come before.


def find(profile: Profile, name: str) -> Node:
    """Raises ProfileError naming the nodes there are."""
    for node in profile.nodes:
        if node.name == name:
            return node
    known = ", ".join(n.name for n in profile.nodes) or "none"
    raise ProfileError(
        f'profile "{profile.name}" has no node "{name}" (there are: {known})',
        reason="NODE_NOT_FOUND",
    )


def with_node(profile: Profile, name: str = "", role: str = WORKER) -> Profile:
    """One more machine, named as minikube does: the profile's name, then -m02, -m03.

    Raises ProfileError when the name is taken or there are too many.
    """
    if len(profile.nodes) >= NODES_MAX:
        raise ProfileError(
            f'profile "{profile.name}" has {NODES_MAX} nodes, more are not possible',
            reason="NODE_LIMIT",
        )
    if profile.uses_host_network and profile.nodes:
        raise ProfileError(
            f'the node of profile "{profile.name}" is this machine itself: others run '
            "`tiphys join`, as `tiphys token create --print-join-command` tells",
            reason="JOIN_NOT_OPEN",
        )
    taken = {node.name for node in profile.nodes}
    if name in taken:
        raise ProfileError(
            f'profile "{profile.name}" has a node "{name}" already', reason="NODE_EXISTS"
        )
    node = Node(name or _free_name(profile.name, taken), _free_address(profile), role=role)
    return replace(profile, nodes=(*profile.nodes, node))


def without_node(profile: Profile, name: str) -> Profile:
    """Raises ProfileError when there is no such node."""
    gone = find(profile, name)
    return replace(profile, nodes=tuple(n for n in profile.nodes if n is not gone))


def with_switch(profile: Profile, name: str, *, stopped: bool) -> Profile:
    """A machine switched off or on. Raises ProfileError when there is no such node."""
    found = find(profile, name)
    changed = replace(found, stopped=stopped)
    return replace(profile, nodes=tuple(changed if n is found else n for n in profile.nodes))


def _free_name(profile_name: str, taken: set[str]) -> str:
    if profile_name not in taken:
        return profile_name
    candidates = (f"{profile_name}-m{number:02d}" for number in range(2, NODES_MAX + 2))
    return next(c for c in candidates if c not in taken)


def _free_address(profile: Profile) -> str:
    if profile.listen:
        return profile.listen
    network = IPv4Network(profile.node_cidr)
    taken = {node.address for node in profile.nodes}
    hosts = (str(network[number]) for number in range(_FIRST_HOST, NODES_MAX + _FIRST_HOST))
    return next(a for a in hosts if a not in taken)
