"""What a node's policy agent is told."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PolicyConfig:
    node_name: str
