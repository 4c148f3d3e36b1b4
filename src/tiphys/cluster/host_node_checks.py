"""Whether this machine can be a node itself: its addresses, its ports, and who uses them."""

from typing import Final

from tiphys.cli.output import CommandError
from tiphys.cluster.profile import Profile

KUBELET_PORT: Final = 10250


def check_listen(existing: Profile | None, listen: str, masters: int, workers: int) -> None:
    """Whether a start may listen there; nothing asked is fine. Raises CommandError."""
    if not listen:
        return
    if existing is not None and existing.listen != listen:
        raise CommandError(
            f'profile "{existing.name}" was made with '
            + (f"--listen {existing.listen}" if existing.listen else "no --listen"),
            fix=f"`tiphys delete -p {existing.name}` starts over",
            reason="PROFILE_FIXED",
        )
    if masters or workers > 1:
        raise CommandError(
            "with --listen this machine is one node: it has one network",
            fix="use --nodes 1 or --nodes 0; other machines run `tiphys join`",
            reason="BAD_VALUE",
        )
    from tiphys.cluster import addresses

    found = addresses.own_addresses()
    if listen not in found:
        raise CommandError(
            f"--listen {listen} is no address of this machine",
            fix=f"use one that the other machines reach: {', '.join(found) or 'there is none'}",
            reason="MACHINE_ADDRESS",
        )


def check_machine(profile: Profile) -> None:
    """For a node that is the machine itself, nobody else's may be. Raises CommandError."""
    if not profile.uses_host_network or not profile.nodes:
        return
    from tiphys.cluster import addresses, host_node

    host_node.check_alone(profile)
    node = profile.nodes[0]
    if node.address not in addresses.own_addresses():
        raise CommandError(
            f"this machine no longer has the address {node.address}, by which others know it",
            fix=f"give it back (`ip addr add`), or start over: tiphys delete -p {profile.name}",
            reason="MACHINE_ADDRESS",
        )
    if not addresses.is_free(KUBELET_PORT):
        raise CommandError(
            f"port {KUBELET_PORT} is in use: this machine is a node of some cluster already",
            fix="stop the kubelet that runs here",
            reason="MACHINE_PORT",
        )
