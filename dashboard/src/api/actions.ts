// What the pages change, each as one request that kubectl makes too.
import { JSON_PATCH, MERGE, STRATEGIC, YAML, get, send } from "./http";
import { can, kindOf, pathOf } from "./kinds";
import type { Kind } from "./kinds";
import type { Any, KubeObject, Meta } from "./objects";
import { documents, headOf } from "../logic/manifest";

const RESTARTED_AT = "kubectl.kubernetes.io/restartedAt";
const REVISION = "deployment.kubernetes.io/revision";

export function path(kind: Kind, meta: Pick<Meta, "name" | "namespace">, subresource = ""): string {
  return pathOf(kind, meta.namespace ?? "", meta.name, subresource);
}

export async function scale(kind: Kind, meta: Meta, replicas: number): Promise<void> {
  await send("PATCH", path(kind, meta, "scale"), { body: { spec: { replicas } }, type: MERGE });
}

export async function restart(kind: Kind, meta: Meta): Promise<void> {
  const annotations = { [RESTARTED_AT]: new Date().toISOString() };
  await send("PATCH", path(kind, meta), { body: { spec: { template: { metadata: { annotations } } } }, type: STRATEGIC });
}

export async function remove(kind: Kind, meta: Meta): Promise<void> {
  await send("DELETE", path(kind, meta), {
    body: { kind: "DeleteOptions", apiVersion: "v1", propagationPolicy: "Background", preconditions: { uid: meta.uid } },
  });
}

export async function cordon(kind: Kind, meta: Meta, unschedulable: boolean): Promise<void> {
  await send("PATCH", path(kind, meta), { body: { spec: { unschedulable } }, type: MERGE });
}

export interface Revision {
  number: number;
  created: string;
  images: string[];
  current: boolean;
  /** What brings it back, and of which media type it is. */
  patch: object;
  type: string;
}

/** Newest first. Throws ApiError. */
export async function revisions(kinds: Kind[], object: KubeObject): Promise<Revision[]> {
  const found = object.kind === "Deployment" ? await replicaSets(kinds, object) : await controllerRevisions(kinds, object);
  return found.sort((a, b) => b.number - a.number).map((one, at) => ({ ...one, current: at === 0 }));
}

async function owned(kinds: Kind[], object: KubeObject, apiVersion: string, name: string): Promise<KubeObject[]> {
  const kind = kindOf(kinds, apiVersion, name);
  if (!kind) return [];
  const list = await get<{ items: KubeObject[] }>(pathOf(kind, object.metadata.namespace));
  return list.items.filter((one) => one.metadata.ownerReferences?.some((owner) => owner.uid === object.metadata.uid));
}

async function replicaSets(kinds: Kind[], object: KubeObject): Promise<Revision[]> {
  const sets = await owned(kinds, object, "apps/v1", "ReplicaSet");
  return sets.map((set) => {
    const template = structuredClone(set.spec.template);
    delete template.metadata?.labels?.["pod-template-hash"];
    return {
      number: Number(set.metadata.annotations?.[REVISION] ?? 0),
      created: set.metadata.creationTimestamp,
      images: imagesOf(template.spec),
      current: false,
      patch: [{ op: "replace", path: "/spec/template", value: template }],
      type: JSON_PATCH,
    };
  });
}

async function controllerRevisions(kinds: Kind[], object: KubeObject): Promise<Revision[]> {
  const found = await owned(kinds, object, "apps/v1", "ControllerRevision");
  return found.map((one) => ({
    number: one.revision as number,
    created: one.metadata.creationTimestamp,
    images: imagesOf(one.data?.spec?.template?.spec),
    current: false,
    patch: one.data as object,
    type: STRATEGIC,
  }));
}

export async function rollBack(kind: Kind, meta: Meta, revision: Revision): Promise<void> {
  await send("PATCH", path(kind, meta), { body: revision.patch, type: revision.type });
}

export function imagesOf(podSpec: Any): string[] {
  return [...(podSpec?.initContainers ?? []), ...(podSpec?.containers ?? [])].map((one: Any) => String(one.image));
}

/** Create every document of a text; the result says what was made. Throws ApiError, Error. */
export async function create(kinds: Kind[], text: string, namespace: string, dryRun: boolean): Promise<string[]> {
  const made: string[] = [];
  for (const one of documents(text)) {
    const head = headOf(one);
    const kind = kindOf(kinds, head.apiVersion, head.kind);
    if (!kind || !can(kind, "create")) throw new Error(`the server has no ${head.kind} in ${head.apiVersion} to create`);
    const target = pathOf(kind, head.namespace || namespace || "default") + (dryRun ? "?dryRun=All" : "");
    const type = one.trimStart().startsWith("{") ? "application/json" : YAML;
    const answer = JSON.parse(await send("POST", target, { body: one, type })) as KubeObject;
    made.push(`${head.kind.toLowerCase()} ${answer.metadata.name}`);
  }
  if (!made.length) throw new Error("there is no document to create");
  return made;
}
