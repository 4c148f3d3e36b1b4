"""Each case is a rule of sig-cli's strategic-merge-patch.md."""

import pytest

from tiphys.api.meta import Obj
from tiphys.codec.patch import PatchError
from tiphys.codec.patch.strategic import apply

_POD = "core.v1.Pod"


def _pod(**spec: object) -> Obj:
    return {"spec": spec}


@pytest.mark.parametrize(
    ("document", "patch", "wanted"),
    [
        pytest.param(
            _pod(containers=[{"name": "a", "image": "1"}, {"name": "b", "image": "1"}]),
            _pod(containers=[{"name": "b", "image": "2"}]),
            _pod(containers=[{"name": "a", "image": "1"}, {"name": "b", "image": "2"}]),
            id="lists-merge-by-key",
        ),
        pytest.param(
            _pod(containers=[{"name": "a"}]),
            _pod(containers=[{"name": "b", "image": None}]),
            _pod(containers=[{"name": "b"}, {"name": "a"}]),
            id="new-elements-come-first",
        ),
        pytest.param(
            _pod(containers=[{"name": "a"}, {"name": "b"}]),
            _pod(containers=[{"name": "a", "$patch": "delete"}]),
            _pod(containers=[{"name": "b"}]),
            id="delete-element",
        ),
        pytest.param(
            _pod(containers=[{"name": "a"}, {"name": "b"}]),
            _pod(containers=[{"name": "c"}, {"$patch": "replace"}]),
            _pod(containers=[{"name": "c"}]),
            id="replace-list",
        ),
        pytest.param(
            _pod(securityContext={"runAsUser": 1, "fsGroup": 2}),
            _pod(securityContext={"$patch": "replace", "runAsUser": 3}),
            _pod(securityContext={"runAsUser": 3}),
            id="replace-map",
        ),
        pytest.param(
            {"metadata": {"finalizers": ["a", "b", "c"]}},
            {
                "metadata": {
                    "$deleteFromPrimitiveList/finalizers": ["b"],
                    "$setElementOrder/finalizers": ["d", "a", "c"],
                    "finalizers": ["d"],
                }
            },
            {"metadata": {"finalizers": ["d", "a", "c"]}},
            id="primitive-lists",
        ),
        pytest.param(
            _pod(containers=[{"name": "a"}, {"name": "s"}, {"name": "b"}]),
            _pod(
                **{"$setElementOrder/containers": [{"name": "b"}, {"name": "c"}, {"name": "a"}]},
                containers=[{"name": "c"}],
            ),
            _pod(containers=[{"name": "s"}, {"name": "b"}, {"name": "c"}, {"name": "a"}]),
            id="set-element-order",
        ),
        pytest.param(
            _pod(tolerations=[{"key": "a"}]),
            _pod(tolerations=[{"key": "b"}]),
            _pod(tolerations=[{"key": "b"}]),
            id="lists-without-strategy-are-replaced",
        ),
        pytest.param(
            _pod(nodeSelector={"a": "1", "b": "2"}),
            _pod(nodeSelector={"a": None, "c": "3"}),
            _pod(nodeSelector={"b": "2", "c": "3"}),
            id="maps-merge-and-null-deletes",
        ),
        pytest.param(
            _pod(volumes=[{"name": "v", "emptyDir": {}}]),
            _pod(volumes=[{"name": "v", "$retainKeys": ["name", "hostPath"], "hostPath": {}}]),
            _pod(volumes=[{"name": "v", "hostPath": {}}]),
            id="retain-keys",
        ),
        pytest.param(
            _pod(containers=[{"name": "a", "ports": [{"containerPort": 80, "protocol": "TCP"}]}]),
            _pod(containers=[{"name": "a", "ports": [{"containerPort": 80, "name": "http"}]}]),
            _pod(
                containers=[
                    {
                        "name": "a",
                        "ports": [{"containerPort": 80, "protocol": "TCP", "name": "http"}],
                    }
                ]
            ),
            id="merge-key-within-merge-key",
        ),
    ],
)
def test_apply(document: Obj, patch: Obj, wanted: Obj) -> None:
    before = repr(document)
    assert apply(document, patch, _POD) == wanted
    assert repr(document) == before


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        (
            _pod(containers=[{"image": "x"}]),
            "map: map[image:x] does not contain declared merge key: name",
        ),
        ({"spec": {"$patch": "nope"}}, "unknown patch type: nope in map: map[$patch:nope]"),
        ({"spec": {"$retainKeys": ["a"], "nodeName": "b"}}, "invalid patch format of retainKeys"),
    ],
)
def test_refused(patch: Obj, message: str) -> None:
    with pytest.raises(PatchError) as refused:
        apply(_pod(containers=[{"name": "a"}]), patch, _POD)
    assert str(refused.value) == message
