"""Where a cluster may listen for other machines."""

from dataclasses import replace
from pathlib import Path

import pytest

from tiphys.cli.output import CommandError
from tiphys.cluster.host_node_checks import check_listen
from tiphys.cluster.profile import Profile, Roots


def a_profile(listen: str) -> Profile:
    roots = Roots(Path("/nowhere"), Path("/nowhere"))
    ranges = ("192.168.49.0/24", "10.244.0.0/16", "10.96.0.0/16", "192.168.49.128/25")
    return replace(Profile("p", roots, 6443, *ranges), listen=listen)


def test_nothing_asked_is_fine() -> None:
    check_listen(a_profile("192.0.2.1"), "", 3, 5)


@pytest.mark.parametrize(
    ("existing", "counts", "why"),
    [
        (a_profile(""), (0, 1), "was made with no --listen"),
        (a_profile("192.0.2.2"), (0, 1), "was made with --listen 192.0.2.2"),
        (None, (1, 1), "this machine is one node"),
        (None, (0, 2), "this machine is one node"),
        (None, (0, 1), "192.0.2.1 is no address of this machine"),
    ],
)
def test_where_nobody_can_listen(
    existing: Profile | None, counts: tuple[int, int], why: str
) -> None:
    """192.0.2.0/24 is for documentation (RFC 5737): no machine has it."""
    with pytest.raises(CommandError, match=why):
        check_listen(existing, "192.0.2.1", *counts)
