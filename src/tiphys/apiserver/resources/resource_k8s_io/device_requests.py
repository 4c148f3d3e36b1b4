"""Defaults of device requests. Upstream: pkg/apis/resource/v1/defaults.go."""

from tiphys.api.meta import Obj, at


def default_claim_spec(spec: Obj) -> None:
    for request in at(spec, "devices", "requests", default=[]):
        if "exactly" in request:
            _default_request(request["exactly"])
        for sub in request.get("firstAvailable") or ():
            _default_request(sub)


def _default_request(request: Obj) -> None:
    request.setdefault("allocationMode", "ExactCount")
    if request["allocationMode"] == "ExactCount":
        request["count"] = request.get("count") or 1
    for toleration in request.get("tolerations") or ():
        toleration.setdefault("operator", "Equal")
