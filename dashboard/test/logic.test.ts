// Table tests of the pages' decisions. Run by tests/unit/test_dashboard_pages.py.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Row } from "../src/api/live";
import { kindOf, kindsOf, pathOf } from "../src/api/kinds";
import { duration } from "../src/logic/age";
import { diff, hunks } from "../src/logic/diff";
import { podCellsHealthy, problemOf, readiness } from "../src/logic/health";
import { documents, headOf, withoutManagedFields } from "../src/logic/manifest";
import { bytesText, cpuText, parseQuantity } from "../src/logic/quantity";
import { filterRows, sortRows, tone } from "../src/logic/table";
import { deploymentYaml } from "../src/logic/templates";

test("ages are those of kubectl", () => {
  const cases: [number, string][] = [
    [-1, "0s"], [0, "0s"], [119, "119s"], [120, "2m"], [125, "2m5s"], [600, "10m"], [10799, "179m"], [10800, "3h"],
    [3600 * 7 + 60, "7h1m"], [3600 * 47, "47h"], [86400 * 2, "2d"], [86400 * 3 + 7200, "3d2h"], [86400 * 700, "700d"], [86400 * 800, "2y70d"],
  ];
  for (const [seconds, text] of cases) assert.equal(duration(seconds), text, String(seconds));
});

test("a diff holds both texts", () => {
  const texts = ["", "a", "a\nb\nc", "a\nx\nc", "b\nc\na", "x\na\nb\nc\ny", "a\na\nb", "a\nb\na\nb\nb"];
  for (const before of texts) {
    for (const after of texts) {
      const lines = diff(before, after);
      const side = (sign: string) => lines.filter((line) => line.sign !== sign).map((line) => line.text).join("\n");
      assert.equal(side("+"), before);
      assert.equal(side("-"), after);
    }
  }
  assert.deepEqual(diff("a\nb\nc", "a\nx\nc").map((line) => line.sign + line.text), [" a", "-b", "+x", " c"]);
});

test("hunks leave out what is far from changes", () => {
  const before = Array.from({ length: 40 }, (_, at) => `line ${at}`);
  const after = before.map((line, at) => (at === 20 ? "changed" : line));
  const shown = hunks(diff(before.join("\n"), after.join("\n")));
  assert.equal(shown.filter((line) => line === null).length, 2);
  assert.equal(shown.length, 2 + 3 + 2 + 3);
});

test("heads of manifests", () => {
  const yaml = 'apiVersion: apps/v1 # old\nkind: "Deployment"\nmetadata:\n  # who\n  labels:\n    name: no\n  name: a\n  namespace: \'b\'\nspec:\n  name: no\n';
  assert.deepEqual(headOf(yaml), { apiVersion: "apps/v1", kind: "Deployment", name: "a", namespace: "b" });
  const json = '{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}}';
  assert.deepEqual(headOf(json), { apiVersion: "v1", kind: "Pod", name: "x", namespace: "" });
  assert.throws(() => headOf("kind: Pod"), /apiVersion/);
  assert.throws(() => headOf("apiVersion: v1"), /kind/);
  assert.equal(documents("---\na: 1\n---\n# nothing\n--- # more\nb: 2\n").length, 2);
  assert.deepEqual(documents(deploymentYaml({ name: "a", image: "b", replicas: 1, port: 80 })).map((one) => headOf(one).kind), ["Deployment", "Service"]);
});

test("managed fields are left out of YAML", () => {
  const yaml = "metadata:\n  labels:\n    a: b\n  managedFields:\n  - apiVersion: v1\n    fieldsV1:\n      f:data: {}\n  - manager: x\n  name: y\n";
  assert.equal(withoutManagedFields(yaml), "metadata:\n  labels:\n    a: b\n  name: y\n");
});

test("quantities", () => {
  const cases: [string, number][] = [["1", 1], ["250m", 0.25], ["12345n", 12345 * 1e-9], ["1Ki", 1024], ["1.5Gi", 1.5 * 2 ** 30], ["2e3", 2000], ["3k", 3000]];
  for (const [text, value] of cases) assert.equal(parseQuantity(text), value, text);
  assert.ok(Number.isNaN(parseQuantity("much")));
  assert.ok(Number.isNaN(parseQuantity(undefined)));
  assert.equal(cpuText(0.213), "213m");
  assert.equal(cpuText(2), "2.00");
  assert.equal(bytesText(0), "0 B");
  assert.equal(bytesText(1.5 * 2 ** 20), "1.5 MiB");
  assert.equal(bytesText(430 * 1024), "430 KiB");
});

const meta = { name: "a", uid: "1", resourceVersion: "1", creationTimestamp: "2026-01-01T00:00:00Z" };
const object = (kind: string, spec: object, status: object) => ({ apiVersion: "v1", kind, metadata: meta, spec, status });

test("what is not healthy says why", () => {
  const waiting = { containerStatuses: [{ name: "c", state: { waiting: { reason: "ImagePullBackOff", message: "no such image" } } }] };
  const crashed = { phase: "Running", containerStatuses: [{ name: "c", state: { terminated: { exitCode: 3, reason: "Error" } } }] };
  const unscheduled = { phase: "Pending", conditions: [{ type: "PodScheduled", status: "False", reason: "Unschedulable", message: "no node" }] };
  const cases: [ReturnType<typeof object>, string | undefined][] = [
    [object("Pod", {}, waiting), "ImagePullBackOff"],
    [object("Pod", {}, crashed), "Error"],
    [object("Pod", {}, unscheduled), "Unschedulable"],
    [object("Pod", {}, { phase: "Succeeded", containerStatuses: [] }), undefined],
    [object("Pod", {}, { phase: "Running", conditions: [{ type: "Ready", status: "True" }] }), undefined],
    [object("Deployment", { replicas: 2 }, { availableReplicas: 2 }), undefined],
    [object("Deployment", { replicas: 2 }, { availableReplicas: 1 }), "NotReady"],
    [object("Deployment", { replicas: 0 }, {}), undefined],
    [object("Deployment", {}, { conditions: [{ type: "Available", status: "False", reason: "Few" }] }), "Few"],
    [object("DaemonSet", {}, { desiredNumberScheduled: 3, numberAvailable: 2 }), "NotReady"],
    [object("Job", {}, { conditions: [{ type: "Failed", status: "True", reason: "BackoffLimitExceeded" }] }), "BackoffLimitExceeded"],
    [object("Node", {}, { conditions: [{ type: "Ready", status: "Unknown", reason: "NodeStatusUnknown" }] }), "NodeStatusUnknown"],
    [object("Node", { unschedulable: true }, { conditions: [{ type: "Ready", status: "True" }] }), "Cordoned"],
    [object("PersistentVolumeClaim", {}, { phase: "Pending" }), "Pending"],
    [object("ConfigMap", {}, {}), undefined],
  ];
  for (const [one, reason] of cases) assert.equal(problemOf(one)?.reason, reason, JSON.stringify(one));
  assert.equal(readiness(object("Deployment", { replicas: 3 }, { readyReplicas: 1 })), "1/3");
  assert.equal(readiness(object("Job", {}, { succeeded: 1 })), "1/1");
  for (const [ready, status, healthy] of [["1/1", "Running", true], ["0/1", "Running", false], ["0/1", "Completed", true], ["0/1", "Pending", false]] as const)
    assert.equal(podCellsHealthy(ready, status), healthy);
});

const row = (name: string, cells: string[], labels = {}): Row => ({ cells: [name, ...cells], metadata: { ...meta, name, uid: name, labels } });
const columns = ["Name", "Restarts"].map((name) => ({ name, type: "string", description: "", priority: 0 }));

test("rows are filtered and sorted", () => {
  const rows = [row("pod-10", ["3"], { app: "web" }), row("pod-9", ["12"]), row("other", ["1"])];
  const names = (some: Row[]) => some.map((one) => one.metadata.name);
  assert.deepEqual(names(filterRows(rows, "POD")), ["pod-10", "pod-9"]);
  assert.deepEqual(names(filterRows(rows, "pod !9")), ["pod-10"]);
  assert.deepEqual(names(filterRows(rows, "app=web")), ["pod-10"]);
  assert.deepEqual(names(filterRows(rows, " ! ")), ["pod-10", "pod-9", "other"]);
  assert.deepEqual(names(sortRows(rows, columns, { column: 0, down: false })), ["other", "pod-9", "pod-10"]);
  assert.deepEqual(names(sortRows(rows, columns, { column: 1, down: true })), ["pod-9", "pod-10", "other"]);
  assert.equal(tone("CrashLoopBackOff"), "bad");
  assert.equal(tone("Pending"), "waiting");
  assert.equal(tone("Running"), "");
});

test("kinds come in their preferred version", () => {
  const found = (resource: string, kind: string) => ({ resource, responseKind: { kind }, scope: "Namespaced", verbs: ["list"] });
  const kinds = kindsOf([
    { items: [{ metadata: {}, versions: [{ version: "v1", resources: [found("pods", "Pod")] }] }] },
    { items: [{ metadata: { name: "x.y" }, versions: [{ version: "v2", resources: [found("pods", "Pod")] }, { version: "v1", resources: [found("pods", "Pod")] }] }] },
  ]);
  assert.equal(kinds.length, 2);
  assert.equal(pathOf(kindOf(kinds, "x.y/v1", "Pod")!, "a b", "c"), "/apis/x.y/v2/namespaces/a%20b/pods/c");
  assert.equal(pathOf(kindOf(kinds, "v1", "Pod")!), "/api/v1/pods");
});
