"""Whole clusters in virtual time: what takes hours elsewhere, and is the same each time."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tiphys.testing import Cluster
from tiphys.testing.story import Write

START = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC)


def a_deployment(name: str, replicas: int, rule: str = "running") -> dict[str, Any]:
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "progressDeadlineSeconds": 600,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {
                    "labels": labels,
                    "annotations": {"testing.tiphys.io/rule": rule},
                },
                "spec": {"containers": [{"name": "main", "image": "nginx"}]},
            },
        },
    }


def a_cron_job(schedule: str) -> dict[str, Any]:
    pod = {"containers": [{"name": "main", "image": "busybox"}], "restartPolicy": "Never"}
    job = {"ttlSecondsAfterFinished": 600, "template": {"spec": pod}}
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "nightly"},
        "spec": {"schedule": schedule, "jobTemplate": {"spec": job}},
    }


def test_an_hour_of_a_cron_job() -> None:
    with Cluster(time="frozen", start_at=START) as cluster:
        cluster.objects.create(a_cron_job("*/10 * * * *"))
        cluster.clock.advance("1h")
        cron = cluster.objects.get("cronjob", "nightly")
        assert cron["status"]["lastSuccessfulTime"].startswith("2026-03-01T13:00:0")
        writes = [w for w in cluster.plane.story.writes if w.key.startswith("jobs/")]
        created = [w.at.strftime("%H:%M") for w in writes if w.verb == "created"]
        assert created == ["12:10", "12:20", "12:30", "12:40", "12:50", "13:00"]
        # Those before the last are gone: their time to live after the end is ten minutes.
        assert len(cluster.objects.list("jobs")) == 1


def test_a_rollout_fails_at_its_deadline() -> None:
    with Cluster(time="frozen") as cluster:
        cluster.objects.create(a_deployment("web", 1, "never ImagePullBackOff"))
        cluster.clock.advance("9m59s")
        assert progress(cluster)["reason"] == "ReplicaSetUpdated"
        cluster.clock.advance("2s")
        assert progress(cluster)["reason"] == "ProgressDeadlineExceeded"


def progress(cluster: Cluster) -> dict[str, Any]:
    conditions = cluster.objects.get("deployment", "web")["status"]["conditions"]
    found: dict[str, Any] = next(c for c in conditions if c["type"] == "Progressing")
    return found


def test_the_pods_of_a_dead_machine_move() -> None:
    with Cluster(time="frozen", nodes=2) as cluster:
        cluster.objects.create(a_deployment("web", 4))
        cluster.wait_for("deployment/web", "Available")
        assert nodes_of(cluster) == {"node-1", "node-2"}
        cluster.nodes.power_off("node-2")
        cluster.clock.advance("1m")
        ready = cluster.objects.get("node", "node-2")["status"]["conditions"]
        assert {c["type"]: c["status"] for c in ready}["Ready"] == "Unknown"
        cluster.clock.advance("6m")
        cluster.wait_for("deployment/web", "readyReplicas=4")
        running = [
            p for p in cluster.objects.list("pods") if "deletionTimestamp" not in p["metadata"]
        ]
        assert {p["spec"]["nodeName"] for p in running} == {"node-1"}
        cluster.nodes.power_on("node-2")
        cluster.wait_for("node/node-2", "Ready")
        cluster.wait_for(lambda: len(cluster.objects.list("pods")) == 4)


def nodes_of(cluster: Cluster) -> set[str]:
    return {p["spec"]["nodeName"] for p in cluster.objects.list("pods")}


def test_a_crash_loop_backs_off() -> None:
    with Cluster(time="frozen") as cluster:
        cluster.objects.create(a_deployment("web", 1))
        cluster.wait_for("deployment/web", "Available")
        cluster.pods.rule("crash loop", labels="app=web")
        cluster.clock.advance("45s")
        [pod] = cluster.objects.list("pods")
        [container] = pod["status"]["containerStatuses"]
        assert container["state"]["waiting"]["reason"] == "CrashLoopBackOff"
        assert container["restartCount"] == 3  # after 1 s, 12 s, 33 s
        assert container["lastState"]["terminated"]["exitCode"] == 1
        cluster.pods.rule("running", labels="app=web")
        cluster.wait_for("deployment/web", "Available", within="1s")


def test_events_go_after_an_hour() -> None:
    with Cluster(time="frozen") as cluster:
        cluster.objects.create(a_deployment("web", 1))
        cluster.wait_for("deployment/web", "Available")
        assert cluster.objects.list("events")
        cluster.clock.advance("1h1m")
        assert cluster.objects.list("events") == []


def a_while(seed: int) -> list[Write]:
    with Cluster(time="frozen", start_at=START, seed=seed, nodes=2) as cluster:
        cluster.objects.create(a_cron_job("*/15 * * * *"))
        cluster.objects.create(a_deployment("web", 3, "ready after 3s"))
        cluster.clock.advance("20m")
        cluster.objects.scale("deployment", "web", 1)
        cluster.clock.advance("20m")
        return list(cluster.plane.story.writes)


def test_the_same_seed_gives_the_same_story() -> None:
    first = a_while(7)
    assert len(first) > 50
    assert a_while(7) == first
    assert a_while(8) != first


def test_the_story_is_the_same_in_another_process() -> None:
    """Order must not hang on hashes, ports or addresses of memory."""
    script = "import test_virtual_cluster as t; print([tuple(w) for w in t.a_while(7)])"
    told = [
        subprocess.run(
            [sys.executable, "-c", script],
            cwd=Path(__file__).parent,
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert told[0] == told[1]


def test_clusters_know_nothing_of_each_other() -> None:
    with Cluster(time="frozen") as one, Cluster(time="frozen") as other:
        one.objects.create(a_deployment("web", 1))
        one.clock.advance("1h")
        assert other.objects.list("deployments") == []
        assert (one.clock.now() - other.clock.now()).total_seconds() > 3000
    with Cluster(time="frozen") as later:
        assert later.objects.list("deployments") == []
