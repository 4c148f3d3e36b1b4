"""ServiceAccount: every pod runs as a service account, and gets its token as a volume.

Upstream: plugin/pkg/admission/serviceaccount/admission.go.
"""

import random
from typing import Final

from tiphys.api.meta import Obj
from tiphys.apiserver.admission.chain import Resources, Write
from tiphys.apiserver.admission.refusal import refuse
from tiphys.apiserver.object_meta import random_suffix
from tiphys.storage.watch_cache import WatchCache

DEFAULT: Final = "default"
MOUNT_PATH: Final = "/var/run/secrets/kubernetes.io/serviceaccount"
VOLUME_PREFIX: Final = "kube-api-access-"
# One hour, and seven seconds by which upstream knows its own tokens.
TOKEN_SECONDS: Final = 3607
MODE: Final = 0o644
MIRROR_POD: Final = "kubernetes.io/config.mirror"


class ServiceAccount:
    name = "ServiceAccount"
    resources: Resources = frozenset({("", "pods")})

    def __init__(self, accounts: WatchCache, rng: random.Random) -> None:
        self._accounts = accounts
        self._rng = rng

    def mutate(self, write: Write) -> None:
        """Raises Forbidden when the account is not there."""
        pod = write.obj
        if pod is None or write.operation != "CREATE" or not write.is_("", "pods"):
            return
        if MIRROR_POD in (pod["metadata"].get("annotations") or {}):
            return
        spec = pod.setdefault("spec", {})
        if not spec.get("serviceAccountName"):
            spec["serviceAccountName"] = DEFAULT
        # The deprecated field says the same, as upstream's conversion makes it.
        spec["serviceAccount"] = spec["serviceAccountName"]
        account = self._account(write, spec["serviceAccountName"])
        if _wants_token(spec, account):
            self._mount_token(spec)
        if not spec.get("imagePullSecrets") and account.get("imagePullSecrets"):
            spec["imagePullSecrets"] = [dict(s) for s in account["imagePullSecrets"]]

    def _account(self, write: Write, name: str) -> Obj:
        namespace = write.info.namespace
        cached = self._accounts.get(f"{self._accounts.prefix}{namespace}/{name}")
        if cached is None:
            raise refuse(
                write,
                f"error looking up service account {namespace}/{name}:"
                f' serviceaccount "{name}" not found',
            )
        return cached.decode(self._accounts.head)

    def _mount_token(self, spec: Obj) -> None:
        """The projected volume, unless a container has something at that path already."""
        volumes = spec.setdefault("volumes", [])
        name = next(
            (v["name"] for v in volumes if str(v.get("name", "")).startswith(VOLUME_PREFIX)), ""
        )
        is_new = not name
        name = name or VOLUME_PREFIX + random_suffix(self._rng)
        mounted = False
        for container in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
            mounts = container.get("volumeMounts") or []
            if any(m.get("mountPath") == MOUNT_PATH for m in mounts):
                continue
            mount = {"name": name, "readOnly": True, "mountPath": MOUNT_PATH}
            container["volumeMounts"] = [*mounts, mount]
            mounted = True
        if mounted and is_new:
            volumes.append(token_volume(name))
        if not volumes:
            del spec["volumes"]

    def validate(self, write: Write) -> None:
        """Nothing further."""


def _wants_token(spec: Obj, account: Obj) -> bool:
    """The pod's word counts before the account's; the default is yes."""
    for wanted in (
        spec.get("automountServiceAccountToken"),
        account.get("automountServiceAccountToken"),
    ):
        if wanted is not None:
            return bool(wanted)
    return True


def token_volume(name: str) -> Obj:
    return {
        "name": name,
        "projected": {
            "sources": [
                {"serviceAccountToken": {"expirationSeconds": TOKEN_SECONDS, "path": "token"}},
                {
                    "configMap": {
                        "name": "kube-root-ca.crt",
                        "items": [{"key": "ca.crt", "path": "ca.crt"}],
                    }
                },
                {
                    "downwardAPI": {
                        "items": [
                            {
                                "path": "namespace",
                                "fieldRef": {
                                    "apiVersion": "v1",
                                    "fieldPath": "metadata.namespace",
                                },
                            }
                        ]
                    }
                },
            ],
            "defaultMode": MODE,
        },
    }
