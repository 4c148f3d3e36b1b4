"""The columns of a Scale, which many kinds have as a subresource.

Upstream: pkg/printers/internalversion/printers.go (printScale).
"""

from typing import Final

from tiphys.apiserver.resources import cells
from tiphys.apiserver.resources.resource import Column

_DESIRED: Final = "replicas is the desired number of instances for the scaled object."
_ACTUAL: Final = "replicas is the actual number of observed instances of the scaled object."

COLUMNS: Final = (
    Column(
        "Desired", cells.value("spec", "replicas", default=0), type="integer", description=_DESIRED
    ),
    Column(
        "Available",
        cells.value("status", "replicas", default=0),
        type="integer",
        description=_ACTUAL,
    ),
)
