"""One small good object of every kind that is stored, without its metadata's name."""

from typing import Any, Final

_POD: Final = {"containers": [{"name": "c", "image": "i"}]}
_TEMPLATE: Final = {"metadata": {"labels": {"a": "b"}}, "spec": _POD}
_WORKLOAD: Final = {"selector": {"matchLabels": {"a": "b"}}, "template": _TEMPLATE}
_JOB: Final = {"template": {"spec": _POD | {"restartPolicy": "Never"}}}
_ROLE_GROUP: Final = "rbac.authorization.k8s.io"
_WEBHOOK: Final = {
    "name": "a.example.com",
    "clientConfig": {"url": "https://example.com/"},
    "sideEffects": "None",
    "admissionReviewVersions": ["v1"],
}
_RULES: Final = [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"]}]
_MATCHING: Final = {"resourceRules": [_RULES[0] | {"resources": ["pods"]}]}
_TARGET: Final = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "x"}
_FLOW: Final = {
    "priorityLevelConfiguration": {"name": "global-default"},
    "matchingPrecedence": 9000,
}
_CRD: Final = {
    "group": "example.com",
    "scope": "Namespaced",
    "names": {"plural": "gadgets", "kind": "Gadget"},
    "versions": [
        {
            "name": "v1",
            "served": True,
            "storage": True,
            "schema": {"openAPIV3Schema": {"type": "object"}},
        }
    ],
}
# Names that a kind asks for; all others are called `small`.
NAMES: Final = {
    "customresourcedefinitions": "gadgets.example.com",
    "apiservices": "v1.small.example.com",
    "ipaddresses": "10.96.77.7",
}
# "group/plural" -> the object. certificatesigningrequests need a signed request: made by the test.
MINIMAL: Final[dict[str, dict[str, Any]]] = {
    "/configmaps": {},
    "/endpoints": {},
    "/events": {"involvedObject": {"namespace": "small", "name": "x"}},
    "/limitranges": {"spec": {"limits": [{"type": "Pod"}]}},
    "/namespaces": {},
    "/nodes": {},
    "/persistentvolumeclaims": {
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        }
    },
    "/persistentvolumes": {
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "capacity": {"storage": "1Gi"},
            "hostPath": {"path": "/x"},
        }
    },
    "/pods": {"spec": _POD},
    "/podtemplates": {"template": _TEMPLATE},
    "/replicationcontrollers": {"spec": {"selector": {"a": "b"}, "template": _TEMPLATE}},
    "/resourcequotas": {},
    "/secrets": {},
    "/serviceaccounts": {},
    "/services": {"spec": {"ports": [{"port": 80}]}},
    "admissionregistration.k8s.io/mutatingadmissionpolicies": {
        "spec": {
            "matchConstraints": _MATCHING,
            "reinvocationPolicy": "Never",
            "mutations": [
                {
                    "patchType": "JSONPatch",
                    "jsonPatch": {"expression": '[JSONPatch{op: "remove", path: "/x"}]'},
                }
            ],
        }
    },
    "admissionregistration.k8s.io/mutatingadmissionpolicybindings": {"spec": {"policyName": "x"}},
    "admissionregistration.k8s.io/mutatingwebhookconfigurations": {"webhooks": [_WEBHOOK]},
    "admissionregistration.k8s.io/validatingadmissionpolicies": {
        "spec": {"matchConstraints": _MATCHING, "validations": [{"expression": "true"}]}
    },
    "admissionregistration.k8s.io/validatingadmissionpolicybindings": {
        "spec": {"policyName": "x", "validationActions": ["Deny"]}
    },
    "admissionregistration.k8s.io/validatingwebhookconfigurations": {"webhooks": [_WEBHOOK]},
    "apiextensions.k8s.io/customresourcedefinitions": {"spec": _CRD},
    "apiregistration.k8s.io/apiservices": {
        "spec": {
            "group": "small.example.com",
            "version": "v1",
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            "service": {"namespace": "small", "name": "x"},
            "insecureSkipTLSVerify": True,
        }
    },
    "apps/controllerrevisions": {"revision": 1, "data": {"a": "b"}},
    "apps/daemonsets": {"spec": _WORKLOAD},
    "apps/deployments": {"spec": _WORKLOAD},
    "apps/replicasets": {"spec": _WORKLOAD},
    "apps/statefulsets": {"spec": _WORKLOAD | {"serviceName": "x"}},
    "autoscaling/horizontalpodautoscalers": {"spec": {"scaleTargetRef": _TARGET, "maxReplicas": 2}},
    "batch/cronjobs": {"spec": {"schedule": "* * * * *", "jobTemplate": {"spec": _JOB}}},
    "batch/jobs": {"spec": _JOB},
    "coordination.k8s.io/leases": {},
    "discovery.k8s.io/endpointslices": {"addressType": "IPv4", "endpoints": []},
    "events.k8s.io/events": {
        "eventTime": "2026-01-01T00:00:00.000000Z",
        "reportingController": "example.com/x",
        "reportingInstance": "x",
        "action": "x",
        "reason": "x",
        "type": "Normal",
        "regarding": {"namespace": "small", "name": "x"},
    },
    "flowcontrol.apiserver.k8s.io/flowschemas": {"spec": _FLOW},
    "flowcontrol.apiserver.k8s.io/prioritylevelconfigurations": {
        "spec": {
            "type": "Limited",
            "limited": {"nominalConcurrencyShares": 1, "limitResponse": {"type": "Reject"}},
        }
    },
    "networking.k8s.io/ingressclasses": {"spec": {"controller": "example.com/x"}},
    "networking.k8s.io/ingresses": {
        "spec": {"defaultBackend": {"service": {"name": "x", "port": {"number": 80}}}}
    },
    "networking.k8s.io/ipaddresses": {
        "spec": {"parentRef": {"resource": "services", "namespace": "small", "name": "x"}}
    },
    "networking.k8s.io/networkpolicies": {"spec": {"podSelector": {}}},
    "networking.k8s.io/servicecidrs": {"spec": {"cidrs": ["10.200.0.0/24"]}},
    "node.k8s.io/runtimeclasses": {"handler": "x"},
    "policy/poddisruptionbudgets": {
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"a": "b"}}}
    },
    "rbac.authorization.k8s.io/clusterrolebindings": {
        "roleRef": {"apiGroup": _ROLE_GROUP, "kind": "ClusterRole", "name": "view"}
    },
    "rbac.authorization.k8s.io/clusterroles": {"rules": []},
    "rbac.authorization.k8s.io/rolebindings": {
        "roleRef": {"apiGroup": _ROLE_GROUP, "kind": "ClusterRole", "name": "view"}
    },
    "rbac.authorization.k8s.io/roles": {"rules": []},
    "resource.k8s.io/deviceclasses": {"spec": {}},
    "resource.k8s.io/resourceclaims": {"spec": {}},
    "resource.k8s.io/resourceclaimtemplates": {"spec": {"spec": {}}},
    "resource.k8s.io/resourceslices": {
        "spec": {
            "driver": "example.com",
            "nodeName": "x",
            "pool": {"name": "x", "generation": 1, "resourceSliceCount": 1},
        }
    },
    "scheduling.k8s.io/priorityclasses": {"value": 1},
    "storage.k8s.io/csidrivers": {"spec": {}},
    "storage.k8s.io/csinodes": {"spec": {"drivers": []}},
    "storage.k8s.io/csistoragecapacities": {"storageClassName": "x"},
    "storage.k8s.io/storageclasses": {"provisioner": "example.com/x"},
    "storage.k8s.io/volumeattachments": {
        "spec": {
            "attacher": "example.com",
            "nodeName": "x",
            "source": {"persistentVolumeName": "x"},
        }
    },
    "storage.k8s.io/volumeattributesclasses": {
        "driverName": "example.com/x",
        "parameters": {"a": "b"},
    },
}
