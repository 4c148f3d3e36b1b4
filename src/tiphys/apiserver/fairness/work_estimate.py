"""How many seats a request needs. Pure.

Upstream: apiserver pkg/util/flowcontrol/request/list_work_estimator.go. Lists are answered from the
cache there too; writes have no seats for their watchers here, whom one and the same write tells.
"""

import math
from typing import Final

SEATS_MAX: Final = 10  # maximumSeatsLimit in request/config.go
OBJECTS_PER_SEAT: Final = 100.0  # objectsPerSeat
LEVEL_PART_MAX: Final = 0.15  # Of a level's seats: maxSeats in request/seat_seconds.go


def seats_of(verb: str, objects: int, level_seats: int) -> int:
    """objects: how many are stored where a list looks."""
    if verb != "list":
        return 1
    most = min(SEATS_MAX, max(1, math.ceil(level_seats * LEVEL_PART_MAX)))
    return min(max(1, math.ceil(objects / OBJECTS_PER_SEAT)), most)
