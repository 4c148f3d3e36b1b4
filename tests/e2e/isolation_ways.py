"""Ways to look out of a team's namespace, as requests; each must be refused.

(name, method, path, body, headers). {team} and {other} stand for the namespaces.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from tiphys.api.resources import RESOURCES

Body = dict[str, Any] | None


class Way(NamedTuple):
    """refusals: the codes that count as a refusal; 403 unless the server cannot even say that."""

    name: str
    method: str
    path: str
    body: Body = None
    headers: dict[str, str] | None = None
    refusals: tuple[int, ...] = (403,)


def reads() -> Iterator[Way]:
    """Every kind that the API serves: of another namespace, of all, and of the cluster."""
    for info in RESOURCES:
        if "list" not in info.verbs:
            continue
        gvr = info.gvr
        label = f"{gvr.group or 'core'}/{gvr.version} {gvr.resource}"
        if info.namespaced:
            yield Way(
                f"list {label} of another", "GET", f"{gvr.path}/namespaces/{{other}}/{gvr.resource}"
            )
        yield Way(f"list all {label}", "GET", f"{gvr.path}/{gvr.resource}")


def _watches() -> Iterator[Way]:
    for kind in ("pods", "secrets", "configmaps", "services", "events", "serviceaccounts"):
        path = f"/api/v1/namespaces/{{other}}/{kind}"
        yield Way(f"watch {kind} of another", "GET", f"{path}?watch=true")
        yield Way(f"watch all {kind}", "GET", f"/api/v1/{kind}?watch=1")
    yield Way("watch in the old way", "GET", "/api/v1/watch/namespaces/{other}/pods")
    yield Way("watch nodes", "GET", "/api/v1/nodes?watch=true")
    yield Way("watch namespaces", "GET", "/api/v1/namespaces?watch=true")


def _single() -> Iterator[Way]:
    base = "/api/v1/namespaces/{other}"
    for path in (
        "secrets/key",
        "configmaps/key",
        "pods/target",
        "services/target",
        "serviceaccounts/default",
        "endpoints/target",
        "pods/target/log",
        "pods/target/status",
        "services/target/status",
    ):
        yield Way(f"get {path} of another", "GET", f"{base}/{path}")
    for path in (
        "/api/v1/namespaces/{other}",
        "/api/v1/namespaces/kube-system",
        "/api/v1/namespaces/default",
        "/api/v1/namespaces/kube-system/secrets/x",
        "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication",
        "/api/v1/namespaces/default/services/kubernetes",
        "/api/v1/namespaces/kube-public/configmaps/cluster-info",
        "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{node}",
        "/api/v1/nodes/{node}",
        "/api/v1/nodes/{node}/status",
        "/apis/rbac.authorization.k8s.io/v1/clusterroles/cluster-admin",
        "/apis/metrics.k8s.io/v1beta1/nodes",
        "/apis/metrics.k8s.io/v1beta1/pods",
        "/apis/metrics.k8s.io/v1beta1/namespaces/{other}/pods",
        "/apis/metrics.tiphys/v1/nodes",
        "/apis/apiregistration.k8s.io/v1/apiservices/v1.",
    ):
        yield Way(f"get {path}", "GET", path)


def _proxies() -> Iterator[Way]:
    for path in (
        "/api/v1/nodes/{node}/proxy/",
        "/api/v1/nodes/{node}/proxy/pods",
        "/api/v1/nodes/{node}/proxy/metrics",
        "/api/v1/nodes/{node}/proxy/logs/",
        "/api/v1/nodes/{node}/proxy/configz",
        "/api/v1/nodes/{node}:10250/proxy/pods",
        "/api/v1/namespaces/{other}/pods/target/proxy/",
        "/api/v1/namespaces/{other}/services/target/proxy/",
        "/api/v1/namespaces/{other}/services/http:target:8080/proxy/",
        "/api/v1/namespaces/{other}/services/target:8080/proxy/secret",
        "/api/v1/namespaces/{other}/pods/target/exec?command=id&stdout=true",
        "/api/v1/namespaces/{other}/pods/target/attach?stdout=true",
        "/api/v1/namespaces/{other}/pods/target/portforward?ports=8080",
        # Its own Services and pods may be proxied to by the API server, which no policy binds.
        "/api/v1/namespaces/{team}/pods/mine/proxy/",
        "/api/v1/namespaces/{team}/services/out/proxy/",
        "/api/v1/namespaces/{team}/services/out:8080/proxy/",
    ):
        yield Way(f"through {path}", "GET", path)
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        path = "/api/v1/nodes/{node}/proxy/run/{other}/target/c?cmd=id"
        yield Way(f"{method} through a node", method, path)


def _not_resources() -> Iterator[Way]:
    for path in (
        "/metrics",
        "/logs",
        "/debug/pprof/",
        "/debug/pprof/heap",
        "/configz",
        "/flagz",
        "/statusz",
        "/metrics/slis",
        "/debug/api_priority_and_fairness/dump_priority_levels",
        "/.well-known/openid-configuration",
        "/openid/v1/jwks",
    ):
        yield Way(f"get {path}", "GET", path)


def _tricks() -> Iterator[Way]:
    codes = (301, 400, 403, 404)
    for path in (
        "/api/v1/namespaces/{team}/../{other}/secrets",
        "/api/v1/namespaces/{team}/%2e%2e/{other}/secrets",
        "/api/v1/namespaces/{team}%2f..%2f{other}/secrets",
        "/api/v1//namespaces/{other}/secrets",
        "//api/v1/namespaces/{other}/secrets",
        "/api/v1/namespaces/{other}//secrets",
        "/api/v1/namespaces/{team}/secrets/../../{other}/secrets/key",
        "/api/v1/namespaces/{team}/secrets/..%2f..%2f{other}%2fsecrets%2fkey",
        "/API/v1/namespaces/{other}/secrets",
        "/api/v1/Namespaces/{other}/secrets",
        "/api/v1/namespaces/{other}/secrets/",
        "/apis//v1/namespaces/{other}/secrets",
        "/api/v1/namespaces/*/secrets",
        "/api/v1/namespaces//secrets",
    ):
        yield Way(f"by {path}", "GET", path, refusals=codes)
    for query in (
        "fieldSelector=metadata.namespace%3D{team}",
        "fieldSelector=metadata.namespace%3D{other}",
        "fieldSelector=metadata.name%3Dkey",
        "labelSelector=a%3Db",
        "limit=1",
        "resourceVersion=0",
        "namespace={team}",
    ):
        yield Way(f"all secrets with {query}", "GET", f"/api/v1/secrets?{query}")


def _others() -> Iterator[Way]:
    """Being somebody else."""
    secrets = "/api/v1/namespaces/{other}/secrets"
    for headers in (
        {"Impersonate-User": "kubernetes-admin"},
        {"Impersonate-User": "system:admin", "Impersonate-Group": "system:masters"},
        {"Impersonate-User": "{user}", "Impersonate-Group": "system:masters"},
        {"Impersonate-User": "system:serviceaccount:kube-system:default"},
        {"Impersonate-User": "system:serviceaccount:{other}:default"},
        {"Impersonate-User": "system:node:{node}", "Impersonate-Group": "system:nodes"},
        {"Impersonate-User": "{user}", "Impersonate-Uid": "0"},
        {"Impersonate-User": "{user}", "Impersonate-Extra-Scopes": "all"},
    ):
        yield Way(f"as {', '.join(headers.values())}", "GET", secrets, headers=headers)
    for headers in (
        {"X-Remote-User": "kubernetes-admin", "X-Remote-Group": "system:masters"},
        {"Authorization": "Bearer abcdef.0123456789abcdef"},
        {"Authorization": "Basic YWRtaW46YWRtaW4="},
    ):
        way = f"with {next(iter(headers.items()))}"
        yield Way(way, "GET", secrets, headers=headers, refusals=(401, 403))
    token: Body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    for account in ("{other}/serviceaccounts/default", "kube-system/serviceaccounts/coredns"):
        yield Way(f"a token of {account}", "POST", f"/api/v1/namespaces/{account}/token", token)
    review: Body = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": {"token": "x"},
    }
    yield Way("review a token", "POST", "/apis/authentication.k8s.io/v1/tokenreviews", review)
    asked = {"user": "kubernetes-admin", "resourceAttributes": {"verb": "get"}}
    access: Body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": asked,
    }
    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    yield Way("ask about others' rights", "POST", path, access)
    local = "/apis/authorization.k8s.io/v1/namespaces/{other}/localsubjectaccessreviews"
    yield Way(
        "the same of another",
        "POST",
        local,
        {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "LocalSubjectAccessReview",
            "spec": asked,
        },
    )
    request: Body = {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": "mine"},
        "spec": {
            "request": "eA==",
            "signerName": "kubernetes.io/kube-apiserver-client",
            "usages": ["client auth"],
        },
    }
    path = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
    yield Way("a certificate for another", "POST", path, request)


def _rights() -> Iterator[Way]:
    """More rights than were given."""
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    subject = {"kind": "User", "name": "{user}", "apiGroup": "rbac.authorization.k8s.io"}

    def binding(kind: str, role_kind: str, role: str) -> Body:
        ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": role_kind, "name": role}
        return {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": kind,
            "metadata": {"name": "more"},
            "roleRef": ref,
            "subjects": [subject],
        }

    def role(kind: str, *rules: dict[str, Any]) -> Body:
        return {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": kind,
            "metadata": {"name": "more"},
            "rules": list(rules),
        }

    everything = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
    cluster = binding("ClusterRoleBinding", "ClusterRole", "cluster-admin")
    yield Way("bind cluster-admin", "POST", f"{rbac}/clusterrolebindings", cluster)
    for name in ("cluster-admin", "admin", "edit", "system:node", "view"):
        way = f"bind {name} in its own namespace"
        path = f"{rbac}/namespaces/{{team}}/rolebindings"
        yield Way(way, "POST", path, binding("RoleBinding", "ClusterRole", name))
        path = f"{rbac}/namespaces/{{other}}/rolebindings"
        way = f"bind {name} in another's"
        yield Way(way, "POST", path, binding("RoleBinding", "ClusterRole", name))
    yield Way("a ClusterRole", "POST", f"{rbac}/clusterroles", role("ClusterRole", everything))
    roles = f"{rbac}/namespaces/{{team}}/roles"
    yield Way("a Role of everything", "POST", roles, role("Role", everything))
    for verb, group, resource in (
        ("create", "networking.k8s.io", "networkpolicies"),
        ("delete", "", "resourcequotas"),
        ("update", "", "limitranges"),
        ("impersonate", "", "serviceaccounts"),
        ("bind", "rbac.authorization.k8s.io", "roles"),
        ("escalate", "rbac.authorization.k8s.io", "roles"),
        ("update", "", "services/status"),
        ("create", "", "endpoints"),
        ("create", "discovery.k8s.io", "endpointslices"),
        ("create", "", "pods/binding"),
        ("get", "", "services/proxy"),
        ("update", "", "namespaces"),
    ):
        rule = {"apiGroups": [group], "resources": [resource], "verbs": [verb]}
        yield Way(f"a Role to {verb} {resource}", "POST", roles, role("Role", rule))
    path = f"{roles}/tiphys-team"
    yield Way("widen its own Role", "PUT", path, _named(role("Role", everything), "tiphys-team"))


def _named(body: Body, name: str) -> Body:
    return (body or {}) | {"metadata": {"name": name}}


def _bounds() -> Iterator[Way]:
    """Undoing what keeps it apart."""
    base = "/api/v1/namespaces/{team}"
    policies = "/apis/networking.k8s.io/v1/namespaces/{team}/networkpolicies"
    for path in (
        base,
        f"{base}/resourcequotas/team",
        f"{base}/resourcequotas/no-system-priority",
        f"{base}/limitranges/team",
        f"{policies}/isolated",
    ):
        yield Way(f"delete {path}", "DELETE", path)
    patch = {"Content-Type": "application/merge-patch+json"}
    labels: Body = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "privileged"}}}
    yield Way("label its namespace", "PATCH", base, labels, patch)
    more: Body = {"spec": {"hard": {"limits.cpu": "100"}}}
    yield Way("raise its quota", "PATCH", f"{base}/resourcequotas/team", more, patch)
    wide: Body = {"spec": {"egress": [{}]}}
    yield Way("widen its policy", "PATCH", f"{policies}/isolated", wide, patch)
    policy: Body = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "out"},
        "spec": {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{}]},
    }
    yield Way("a policy that lets it out", "POST", policies, policy)
    deletion: Body = {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "{team}"}}
    yield Way("finalize its namespace", "PUT", f"{base}/finalize", deletion)


def _cluster_writes() -> Iterator[Way]:
    patch = {"Content-Type": "application/merge-patch+json"}
    spec = {"hostPath": {"path": "/"}, "capacity": {"storage": "1Gi"}}
    for kind, path, extra in (
        ("Namespace", "/api/v1/namespaces", {}),
        ("Node", "/api/v1/nodes", {}),
        ("PersistentVolume", "/api/v1/persistentvolumes", {"spec": spec}),
        ("StorageClass", "/apis/storage.k8s.io/v1/storageclasses", {"provisioner": "x"}),
        ("PriorityClass", "/apis/scheduling.k8s.io/v1/priorityclasses", {"value": 9}),
        ("RuntimeClass", "/apis/node.k8s.io/v1/runtimeclasses", {"handler": "x"}),
        ("IngressClass", "/apis/networking.k8s.io/v1/ingressclasses", {}),
        ("APIService", "/apis/apiregistration.k8s.io/v1/apiservices", {}),
        (
            "ValidatingWebhookConfiguration",
            "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
            {},
        ),
        (
            "MutatingWebhookConfiguration",
            "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations",
            {},
        ),
    ):
        version = path.removeprefix("/apis/").removeprefix("/api/").rpartition("/")[0]
        body = {"apiVersion": version, "kind": kind, "metadata": {"name": "mine"}, **extra}
        yield Way(f"make a {kind}", "POST", path, body)
    yield Way("cordon a node", "PATCH", "/api/v1/nodes/{node}", {"spec": {}}, patch)
    taint: Body = {"spec": {"taints": []}}
    yield Way("untaint a node", "PATCH", "/api/v1/nodes/{node}", taint, patch)
    yield Way("delete a node", "DELETE", "/api/v1/nodes/{node}")
    yield Way("delete another's namespace", "DELETE", "/api/v1/namespaces/{other}")
    for kind in ("pods", "secrets", "configmaps", "services"):
        yield Way(f"delete another's {kind}", "DELETE", f"/api/v1/namespaces/{{other}}/{kind}")
    yield Way(
        "change another's secret",
        "PATCH",
        "/api/v1/namespaces/{other}/secrets/key",
        {"data": {}},
        patch,
    )
    binding: Body = {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": "mine"},
        "target": {"kind": "Node", "name": "{node}"},
    }
    yield Way("bind a pod", "POST", "/api/v1/namespaces/{team}/pods/mine/binding", binding)
    eviction: Body = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": "target"},
    }
    yield Way("evict", "POST", "/api/v1/namespaces/{other}/pods/target/eviction", eviction)
    metadata = {"name": "x", "namespace": "{other}"}
    moved: Body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
    path = "/api/v1/namespaces/{team}/configmaps"
    yield Way("write elsewhere by the body", "POST", path, moved, refusals=(400,))
    path = "/api/v1/namespaces/{team}/services/own/status"
    address: Body = {"status": {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}}}
    yield Way("take an address", "PATCH", path, address, patch)
    slice_: Body = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "x"},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["{target}"]}],
    }
    path = "/apis/discovery.k8s.io/v1/namespaces/{team}/endpointslices"
    yield Way("an endpoint elsewhere", "POST", path, slice_)
    endpoints: Body = {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {"name": "own"},
        "subsets": [{"addresses": [{"ip": "{target}"}]}],
    }
    path = "/api/v1/namespaces/{team}/endpoints"
    yield Way("the same in the old way", "POST", path, endpoints)


def _pods() -> Iterator[Way]:
    """Pods that would be more than a pod."""
    host = {"name": "v", "hostPath": {"path": "/"}}
    ways: tuple[tuple[str, dict[str, Any], dict[str, Any]], ...] = (
        ("hostPath", {"volumes": [host]}, {}),
        ("hostNetwork", {"hostNetwork": True}, {}),
        ("hostPID", {"hostPID": True}, {}),
        ("hostIPC", {"hostIPC": True}, {}),
        ("privileged", {}, {"securityContext": {"privileged": True}}),
        ("SYS_ADMIN", {}, {"securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}}),
        ("NET_RAW", {}, {"securityContext": {"capabilities": {"add": ["NET_RAW"]}}}),
        ("all capabilities", {}, {"securityContext": {"capabilities": {"add": ["ALL"]}}}),
        ("hostPort", {}, {"ports": [{"containerPort": 1, "hostPort": 31999}]}),
        ("without seccomp", {}, {"securityContext": {"seccompProfile": {"type": "Unconfined"}}}),
        (
            "without AppArmor",
            {},
            {"securityContext": {"appArmorProfile": {"type": "Unconfined"}}},
        ),
        (
            "a SELinux user",
            {"securityContext": {"seLinuxOptions": {"type": "spc_t"}}},
            {},
        ),
        (
            "a sysctl of the machine",
            {"securityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}},
            {},
        ),
        ("priority of the system", {"priorityClassName": "system-node-critical"}, {}),
        ("priority of the cluster", {"priorityClassName": "system-cluster-critical"}, {}),
        ("more CPU than the quota", {}, {"resources": {"limits": {"cpu": "5"}}}),
        ("more memory than the quota", {}, {"resources": {"limits": {"memory": "9Gi"}}}),
        ("an account that it has not", {"serviceAccountName": "coredns"}, {}),
        ("a probe of another host", {}, {"livenessProbe": {"httpGet": {"host": "1", "port": 1}}}),
        (
            "hostPath of an init container",
            {"volumes": [host], "initContainers": [{"name": "i", "image": "busybox"}]},
            {},
        ),
        (
            "a privileged init container",
            {
                "initContainers": [
                    {"name": "i", "image": "busybox", "securityContext": {"privileged": True}}
                ]
            },
            {},
        ),
    )
    for name, spec, container in ways:
        body: Body = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "more"},
            "spec": {"containers": [{"name": "c", "image": "busybox", **container}], **spec},
        }
        yield Way(f"a pod with {name}", "POST", "/api/v1/namespaces/{team}/pods", body)
        yield Way(f"a pod elsewhere with {name}", "POST", "/api/v1/namespaces/{other}/pods", body)
    patch = {"Content-Type": "application/strategic-merge-patch+json"}
    debugger = {"name": "e", "image": "busybox", "securityContext": {"privileged": True}}
    body = {"spec": {"ephemeralContainers": [debugger]}}
    for where in ("{team}/pods/mine", "{other}/pods/target"):
        path = f"/api/v1/namespaces/{where}/ephemeralcontainers"
        yield Way(f"a privileged debugger in {where}", "PATCH", path, body, patch)


WAYS: tuple[Way, ...] = (
    *reads(),
    *_watches(),
    *_single(),
    *_proxies(),
    *_not_resources(),
    *_tricks(),
    *_others(),
    *_rights(),
    *_bounds(),
    *_cluster_writes(),
    *_pods(),
)
# What upstream tells everybody who is known: what the server is, and who one is oneself.
ALLOWED = (
    Way("the version", "GET", "/version"),
    Way("the groups", "GET", "/apis"),
    Way("the core group", "GET", "/api/v1"),
    Way("its schema", "GET", "/openapi/v3"),
    Way("whether it lives", "GET", "/livez"),
    Way("whether it is ready", "GET", "/readyz"),
    Way(
        "who am I",
        "POST",
        "/apis/authentication.k8s.io/v1/selfsubjectreviews",
        {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"},
    ),
    Way(
        "what may I",
        "POST",
        "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews",
        {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectRulesReview",
            "spec": {"namespace": "{team}"},
        },
    ),
)
