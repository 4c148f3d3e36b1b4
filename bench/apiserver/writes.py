"""What writes cost the API server, durable, with admission: 50 clients of wrk.

    python bench/apiserver/writes.py [--seconds 5]

Prints CREATE of ConfigMaps and pods, PATCH of a pod's status (strategic, merge), apply of an
unchanged Deployment, and CREATE again when 100,000 objects are there.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from bench.apiserver.served import (
    OBJECTS,
    Load,
    Served,
    a_pod,
    config_map_text,
    served,
    writing,
    wrk,
)

CLIENTS = 50
MANY_OBJECTS = 100_000
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=int, default=5)
    seconds = options.parse_args().seconds
    with tempfile.TemporaryDirectory() as name, served(Path(name), {"default": OBJECTS}) as server:
        measure(server, seconds)


def measure(server: Served, seconds: int) -> None:
    core = f"{server.url}/api/v1/namespaces/default"

    def load(
        name: str, url: str, method: str, content_type: str, body: str, target: str = ""
    ) -> Load:
        more = writing(server, name, method, content_type, body, target)
        return wrk(url, [server.pid], CLIENTS, seconds, *more)

    json_type = "application/json"
    maps = load("maps", f"{core}/configmaps", "POST", json_type, config_map_text())
    print("CREATE ConfigMap              ", maps)
    pod = a_pod("") | {"apiVersion": "v1", "kind": "Pod"}
    pod["metadata"] = {"generateName": "p-"}
    print(
        "CREATE pod                    ",
        load("pods", f"{core}/pods", "POST", json_type, json.dumps(pod)),
    )
    condition = {"type": "Own", "status": "True", "message": "SEED NUMBER"}
    status = json.dumps({"status": {"conditions": [condition]}})
    for name, kind in (("strategic", STRATEGIC), ("merge", MERGE)):
        for what, which in (("50 pods", "OBJECT"), ("one pod", "00000")):
            path = f"/api/v1/namespaces/default/pods/p{which}/status"
            done = load(name, core, "PATCH", kind, status, path)
            print(f"PATCH of status, {name:9} {what:7}", done)
    apply(server, seconds)
    made = maps.requests
    while made < MANY_OBJECTS:
        made += load("maps", f"{core}/configmaps", "POST", json_type, config_map_text()).requests
    maps = load("maps", f"{core}/configmaps", "POST", json_type, config_map_text())
    print(f"CREATE ConfigMap, {made:6} there ", maps)
    print(f"own memory then                {server.own_mb():8.1f} MB")


def apply(server: Served, seconds: int) -> None:
    """Server-side apply of a Deployment that changes nothing."""
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": a_pod("")["spec"]}
    obj = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {"replicas": 3, "selector": {"matchLabels": labels}, "template": template},
    }
    where = f"{server.url}/apis/apps/v1/namespaces/default/deployments/web?fieldManager=bench"
    words = ["curl", "-skf", *server.header, "-X", "PATCH", "-H", f"Content-Type: {APPLY}"]
    subprocess.run([*words, "-d", json.dumps(obj), where], capture_output=True, check=True)
    more = writing(server, "apply", "PATCH", APPLY, json.dumps(obj))
    print("apply of a Deployment as it is", wrk(where, [server.pid], 10, seconds, *more))


if __name__ == "__main__":
    main()
