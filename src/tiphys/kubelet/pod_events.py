"""Events about pods and their containers. Upstream: pkg/kubelet/events/event.go."""

from tiphys.api.meta import Obj
from tiphys.client.recorder import EventRecorder
from tiphys.kubelet.pod_spec import field_path, find_container

NORMAL, WARNING = "Normal", "Warning"


class PodEvents:
    """A thin hand on the recorder: pods from a watch of one kind carry no kind themselves."""

    def __init__(self, recorder: EventRecorder) -> None:
        self._recorder = recorder

    def pod(self, pod: Obj, kind: str, reason: str, message: str) -> None:
        self._recorder.event(_typed(pod), kind, reason, message)

    def container(self, pod: Obj, name: str, kind: str, reason: str, message: str) -> None:
        found = find_container(pod, name)
        path = field_path(found[0], name) if found is not None else ""
        self._recorder.event(_typed(pod), kind, reason, message, field_path=path)


def _typed(pod: Obj) -> Obj:
    return pod if pod.get("kind") else {"kind": "Pod", "apiVersion": "v1", **pod}
