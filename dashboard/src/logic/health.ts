// What is not healthy, and why: pure decisions about one object.
import type { Condition, KubeObject } from "../api/objects";

export interface Problem {
  reason: string;
  message: string;
}

type Check = (object: KubeObject) => Problem | null;

const CHECKS: Record<string, Check> = {
  Deployment: (object) => replicas(object, object.spec?.replicas ?? 1, object.status?.availableReplicas, ["Available", "Progressing"]),
  StatefulSet: (object) => replicas(object, object.spec?.replicas ?? 1, object.status?.readyReplicas, []),
  DaemonSet: (object) => replicas(object, object.status?.desiredNumberScheduled ?? 0, object.status?.numberAvailable, []),
  Job: (object) => fromCondition(object, "Failed", "True"),
  Node: node,
  Pod: pod,
  PersistentVolumeClaim: (object) =>
    object.status?.phase === "Bound" ? null : { reason: object.status?.phase ?? "Pending", message: "no volume is bound to the claim" },
};

export function problemOf(object: KubeObject): Problem | null {
  if (object.metadata.deletionTimestamp) return null;
  return CHECKS[object.kind]?.(object) ?? null;
}

/** "2/3", for kinds with replicas. */
export function readiness(object: KubeObject): string {
  const { spec, status } = object;
  if (object.kind === "DaemonSet") return `${status?.numberReady ?? 0}/${status?.desiredNumberScheduled ?? 0}`;
  if (object.kind === "Job") return `${status?.succeeded ?? 0}/${spec?.completions ?? 1}`;
  return `${status?.readyReplicas ?? 0}/${spec?.replicas ?? 1}`;
}

export function conditionsOf(object: KubeObject): Condition[] {
  const found: unknown = object.status?.conditions;
  return Array.isArray(found) ? (found as Condition[]) : [];
}

function fromCondition(object: KubeObject, type: string, status: string): Problem | null {
  const found = conditionsOf(object).find((one) => one.type === type && one.status === status);
  return found ? { reason: found.reason || type, message: found.message ?? "" } : null;
}

function replicas(object: KubeObject, wanted: number, available: number | undefined, types: string[]): Problem | null {
  if ((available ?? 0) >= wanted) return null;
  for (const type of ["ReplicaFailure"]) {
    const found = fromCondition(object, type, "True");
    if (found) return found;
  }
  for (const type of types) {
    const found = fromCondition(object, type, "False");
    if (found) return found;
  }
  return { reason: "NotReady", message: `${available ?? 0} of ${wanted} replicas are available` };
}

function node(object: KubeObject): Problem | null {
  const ready = conditionsOf(object).find((one) => one.type === "Ready");
  if (ready?.status !== "True") return { reason: ready?.reason ?? "NotReady", message: ready?.message ?? "" };
  const pressed = conditionsOf(object).find((one) => one.type !== "Ready" && one.status === "True");
  if (pressed) return { reason: pressed.reason ?? pressed.type, message: pressed.message ?? "" };
  if (object.spec?.unschedulable) return { reason: "Cordoned", message: "new pods are not scheduled here" };
  return null;
}

function pod(object: KubeObject): Problem | null {
  const status = object.status ?? {};
  if (status.phase === "Succeeded") return null;
  for (const one of [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])]) {
    const waiting = one.state?.waiting;
    if (waiting && !["ContainerCreating", "PodInitializing"].includes(waiting.reason))
      return { reason: waiting.reason ?? "Waiting", message: `${one.name}: ${waiting.message ?? ""}` };
    const ended = one.state?.terminated;
    if (ended && ended.exitCode !== 0)
      return { reason: ended.reason ?? "Error", message: `${one.name} ended with exit code ${ended.exitCode} ${ended.message ?? ""}` };
  }
  if (status.phase === "Failed") return { reason: status.reason ?? "Failed", message: status.message ?? "" };
  for (const type of ["PodScheduled", "ContainersReady", "Ready"]) {
    const found = fromCondition(object, type, "False");
    if (found) return found;
  }
  return status.phase === "Running" ? null : { reason: status.phase ?? "Pending", message: "" };
}

/** Whether kubectl's READY and STATUS cells of a pod look healthy. */
export function podCellsHealthy(ready: string, status: string): boolean {
  if (["Completed", "Succeeded", "Terminating"].includes(status)) return true;
  const [have, want] = ready.split("/");
  return status === "Running" && have === want;
}
