"""What users import in their own tests: `Cluster`, and what it raises.

With pytest, take the fixture `tiphys_cluster` instead (plugin.py).
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tiphys.testing.cluster import Cluster, ClusterError
    from tiphys.testing.rules import RuleError
    from tiphys.testing.waiting import WaitFailed

__all__ = ["Cluster", "ClusterError", "RuleError", "WaitFailed"]

_HOMES = {
    "Cluster": "cluster",
    "ClusterError": "cluster",
    "RuleError": "rules",
    "WaitFailed": "waiting",
}


def __getattr__(name: str) -> Any:
    """Imported when asked for: pytest loads the plugin in every session, used or not."""
    if name not in _HOMES:
        raise AttributeError(name)
    from importlib import import_module

    return getattr(import_module(f"tiphys.testing.{_HOMES[name]}"), name)
