"""Resources that the cloud controllers read and write."""

from typing import Final

from tiphys.api.meta import GroupVersionResource

SERVICES: Final = GroupVersionResource("", "v1", "services")
NODES: Final = GroupVersionResource("", "v1", "nodes")
