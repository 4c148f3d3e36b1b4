"""APIServices for the groups that are served here: made at the start, as upstream lists them.

Upstream: kube-aggregator pkg/controllers/autoregister, pkg/controlplane/apiserver/aggregator.go.
"""

from typing import Final

from tiphys.api.meta import Obj
from tiphys.api.resources import GroupVersionInfo

# By it upstream knows those that it made itself.
AUTO_LABEL: Final = "kube-aggregator.kubernetes.io/automanaged"


def local_api_service(version: GroupVersionInfo) -> Obj:
    return {
        "metadata": {
            "name": f"{version.version}.{version.group}",
            "labels": {AUTO_LABEL: "onstart"},
        },
        "spec": {
            "group": version.group,
            "version": version.version,
            "groupPriorityMinimum": version.group_priority,
            "versionPriority": version.version_priority,
        },
    }
