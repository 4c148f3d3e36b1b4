"""Contexts of TLS clients that trust one authority; quick to import, for commands."""

import ssl

_prepared: dict[bytes, list[ssl.SSLContext]] = {}


def prepare_for(authority: bytes, count: int) -> None:
    """Make contexts of clients before a fork, each child takes its own copy of them.

    What they cost is then shared by all children; authority: certificates in PEM, no secret.
    """
    _prepared[authority] = [trusting(authority) for _ in range(count)]


def trusting(authority: bytes) -> ssl.SSLContext:
    """A client's context that trusts one authority. Raises ssl.SSLError."""
    ready = _prepared.get(authority)
    if ready:
        return ready.pop()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=authority.decode())
    return context
