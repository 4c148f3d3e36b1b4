"""Tiphys: Kubernetes, written in Python."""

from typing import Final

__version__ = "0.1.0"
UPSTREAM_VERSION: Final = (
    "v1.36.2"  # The release whose API we serve; UPSTREAM_VERSION holds the same.
)
