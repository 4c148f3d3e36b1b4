"""Which few queues a flow may wait in: two flows seldom have all of theirs in common. Pure.

Upstream: apiserver pkg/util/shufflesharding; KEP-1040.
"""

import hashlib


def flow_hash(schema: str, flow: str) -> int:
    """64 bits of what names a flow."""
    text = f"{schema}\0{flow}".encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "little")


def hand_of(number: int, queues: int, hand_size: int) -> list[int]:
    """Different queues, dealt by the number as from a shuffled deck."""
    left = list[int]()  # Those dealt before, in order: the deck without them is never made.
    hand: list[int] = []
    for dealt in range(min(hand_size, queues)):
        number, card = divmod(number, queues - dealt)
        at = 0
        while at < len(left) and left[at] <= card:
            card += 1
            at += 1
        left.insert(at, card)
        hand.append(card)
    return hand
