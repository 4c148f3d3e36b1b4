"""DaemonSets, StatefulSets, Jobs, CronJobs, budgets and volumes, driven by real kubectl."""

import json
from pathlib import Path
from typing import Any

import pytest

from e2e.clusters import Cluster, kubectls, until

pytestmark = pytest.mark.parametrize("client", kubectls(), ids=lambda p: p.name)


def workload(kind: str, name: str, command: str, **spec: Any) -> str:
    """A manifest whose pods run a shell command and end at once when told."""
    container = {
        "name": "c",
        "image": "busybox",
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", command],
    }
    mounts = [
        {"name": t["metadata"]["name"], "mountPath": f"/{t['metadata']['name']}"}
        for t in spec.get("volumeClaimTemplates") or []
    ]
    template = {
        "metadata": {"labels": {"app": name}},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [container | ({"volumeMounts": mounts} if mounts else {})],
        },
    }
    return json.dumps(
        {
            "apiVersion": "apps/v1",
            "kind": kind,
            "metadata": {"name": name},
            "spec": {"selector": {"matchLabels": {"app": name}}, "template": template} | spec,
        }
    )


class Kubectl:
    """One kubectl in one namespace."""

    def __init__(self, cluster: Cluster, client: Path, namespace: str) -> None:
        self._cluster, self._client, self._namespace = cluster, client, namespace

    def __call__(self, *words: str, stdin: str = "", check: bool = True) -> str:
        where = ("-n", self._namespace)
        return self._cluster.real(self._client, *where, *words, stdin=stdin, check=check)

    def get(self, *words: str) -> Any:
        return json.loads(self("get", *words, "-o", "json"))


@pytest.fixture
def kubectl(cluster: Cluster, client: Path, namespace: str) -> Kubectl:
    return Kubectl(cluster, client, namespace)


def test_a_daemon_set_is_rolled_out_and_back(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=workload("DaemonSet", "d", "sleep 3600"))
    assert "successfully rolled out" in kubectl("rollout", "status", "daemonset/d", "--timeout=60s")
    (first,) = kubectl.get("pods")["items"]
    kubectl("rollout", "restart", "daemonset/d")
    assert "successfully rolled out" in kubectl("rollout", "status", "daemonset/d", "--timeout=60s")
    alive = [p for p in kubectl.get("pods")["items"] if "deletionTimestamp" not in p["metadata"]]
    assert [p["metadata"]["uid"] for p in alive] != [first["metadata"]["uid"]]
    history = kubectl("rollout", "history", "daemonset/d")
    assert [line.split()[0] for line in history.splitlines()[2:] if line] == ["1", "2"]
    kubectl("rollout", "undo", "daemonset/d")
    assert "successfully rolled out" in kubectl("rollout", "status", "daemonset/d", "--timeout=60s")
    template = kubectl.get("daemonset", "d")["spec"]["template"]
    assert "annotations" not in template["metadata"], "the restart's mark is gone again"


def test_a_stateful_set_keeps_its_data_over_the_deletion_of_its_pod(kubectl: Kubectl) -> None:
    claim = {
        "metadata": {"name": "data"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Mi"}},
        },
    }
    manifest = workload(
        "StatefulSet",
        "db",
        "echo start >> /data/log; sleep 3600",
        serviceName="db",
        replicas=2,
        volumeClaimTemplates=[claim],
    )
    kubectl("apply", "-f", "-", stdin=manifest)
    kubectl("rollout", "status", "statefulset/db", "--timeout=60s")
    before = kubectl.get("pod", "db-0")["metadata"]["uid"]
    kubectl("delete", "pod", "db-0")
    until(lambda: "db-0" in kubectl("get", "pods") and uid_of(kubectl, "db-0") != before)
    kubectl("wait", "--for=condition=Ready", "pod/db-0", "--timeout=60s")
    assert kubectl("exec", "db-0", "--", "cat", "/data/log") == "start\nstart\n"
    assert kubectl("exec", "db-1", "--", "cat", "/data/log") == "start\n"
    claims = kubectl.get("pvc")["items"]
    assert [(c["metadata"]["name"], c["status"]["phase"]) for c in claims] == [
        ("data-db-0", "Bound"),
        ("data-db-1", "Bound"),
    ]
    volume = kubectl.get("pv", claims[0]["spec"]["volumeName"])
    directory = Path(volume["spec"]["local"]["path"])
    assert (directory / "log").read_text() == "start\nstart\n"
    kubectl("delete", "statefulset", "db")
    kubectl("delete", "pvc", "--all", "--timeout=60s")
    until(lambda: not directory.exists(), what="reclaim policy Delete removes the directory")
    until(lambda: claims[0]["spec"]["volumeName"] not in kubectl("get", "pv"))


def uid_of(kubectl: Kubectl, pod: str) -> str:
    found = kubectl("get", "pod", pod, "-o", "jsonpath={.metadata.uid}", check=False)
    return found.strip()


def test_a_claim_in_use_is_protected(kubectl: Kubectl) -> None:
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "c"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Mi"}},
        },
    }
    kubectl("create", "-f", "-", stdin=json.dumps(claim))
    until(lambda: "WaitForFirstConsumer" in kubectl("get", "events"))
    pod = json.loads(workload("DaemonSet", "p", "sleep 3600"))["spec"]["template"]["spec"]
    pod["volumes"] = [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]
    manifest = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": pod}
    kubectl("create", "-f", "-", stdin=json.dumps(manifest))
    kubectl("wait", "--for=condition=Ready", "pod/p", "--timeout=60s")
    kubectl("delete", "pvc", "c", "--wait=false")
    assert "Terminating" in kubectl("get", "pvc", "c")
    kubectl("delete", "pod", "p")
    until(lambda: "not found" in kubectl("get", "pvc", "c", check=False))


def test_an_ephemeral_volume_lives_as_long_as_its_pod(kubectl: Kubectl) -> None:
    pod = json.loads(workload("DaemonSet", "p", "echo here > /v/f; sleep 3600"))
    spec = pod["spec"]["template"]["spec"]
    spec["containers"][0]["volumeMounts"] = [{"name": "v", "mountPath": "/v"}]
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}
    spec["volumes"] = [{"name": "v", "ephemeral": {"volumeClaimTemplate": {"spec": claim}}}]
    manifest = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec}
    kubectl("create", "-f", "-", stdin=json.dumps(manifest))
    kubectl("wait", "--for=condition=Ready", "pod/p", "--timeout=60s")
    assert "Bound" in kubectl("get", "pvc", "p-v")
    kubectl("delete", "pod", "p")
    until(lambda: "not found" in kubectl("get", "pvc", "p-v", check=False))


def test_jobs_and_cron_jobs(kubectl: Kubectl) -> None:
    kubectl("create", "job", "j", "--image=busybox", "--", "echo", "hello")
    kubectl("wait", "--for=condition=complete", "job/j", "--timeout=60s")
    assert kubectl("logs", "job/j") == "hello\n"
    kubectl(
        "create", "cronjob", "c", "--image=busybox", "--schedule=0 0 1 1 *", "--", "echo", "tick"
    )
    kubectl("create", "job", "now", "--from=cronjob/c")
    kubectl("wait", "--for=condition=complete", "job/now", "--timeout=60s")
    kubectl("delete", "cronjob", "c")
    until(lambda: "not found" in kubectl("get", "job", "now", check=False), what="goes with it")


def test_an_indexed_job_gives_each_pod_its_index(kubectl: Kubectl) -> None:
    kubectl("create", "job", "x", "--image=busybox", "--", "true")
    job = kubectl.get("job", "x")
    kubectl("delete", "job", "x")
    spec = {
        "completions": 3,
        "parallelism": 3,
        "completionMode": "Indexed",
        "template": {
            "spec": {
                "restartPolicy": "Never",
                "containers": [
                    job["spec"]["template"]["spec"]["containers"][0]
                    | {"command": ["sh", "-c", "echo index $JOB_COMPLETION_INDEX"]}
                ],
            }
        },
    }
    manifest = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "i"}, "spec": spec}
    kubectl("create", "-f", "-", stdin=json.dumps(manifest))
    kubectl("wait", "--for=condition=complete", "job/i", "--timeout=60s")
    assert kubectl.get("job", "i")["status"]["completedIndexes"] == "0-2"
    said = kubectl("logs", "-l", "job-name=i", "--tail=-1")
    assert sorted(said.split("\n")) == ["", "index 0", "index 1", "index 2"]


def test_a_budget_holds_evictions_back(kubectl: Kubectl) -> None:
    manifest = workload("Deployment", "web", "sleep 3600", replicas=2)
    kubectl("apply", "-f", "-", stdin=manifest)
    kubectl("create", "pdb", "web", "--selector=app=web", "--min-available=1")
    kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    until(lambda: kubectl.get("pdb", "web")["status"]["disruptionsAllowed"] == 1)
    kubectl("scale", "deployment/web", "--replicas=1")
    until(lambda: kubectl.get("pdb", "web")["status"]["disruptionsAllowed"] == 0)
    pods = kubectl.get("pods")["items"]
    name = next(p["metadata"]["name"] for p in pods if "deletionTimestamp" not in p["metadata"])
    namespace = pods[0]["metadata"]["namespace"]
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
    path = f"/api/v1/namespaces/{namespace}/pods/{name}/eviction"
    answer = kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(eviction), check=False)
    assert "disruption budget" in answer
