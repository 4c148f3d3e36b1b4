// Every kind that the server has, from aggregated discovery (two requests).
import { get } from "./http";

export interface Kind {
  group: string;
  version: string;
  resource: string;
  kind: string;
  namespaced: boolean;
  verbs: string[];
  shortNames: string[];
  subresources: string[];
}

interface Found {
  items: {
    metadata: { name?: string };
    versions: {
      version: string;
      resources?: {
        resource: string;
        responseKind: { kind: string };
        scope: string;
        verbs: string[];
        shortNames?: string[];
        subresources?: { subresource: string }[];
      }[];
    }[];
  }[];
}

const DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/** Listable kinds, each in its preferred version. */
export async function loadKinds(): Promise<Kind[]> {
  const both = await Promise.all(
    ["/api", "/apis"].map((path) => get<Found>(path, { accept: DISCOVERY })),
  );
  return kindsOf(both);
}

export function kindsOf(answers: Found[]): Kind[] {
  const kinds = new Map<string, Kind>();
  for (const item of answers.flatMap((answer) => answer.items)) {
    const group = item.metadata.name ?? "";
    for (const { version, resources } of item.versions) {
      for (const found of resources ?? []) {
        const key = `${group}/${found.resource}`;
        if (kinds.has(key)) continue;
        kinds.set(key, {
          group,
          version,
          resource: found.resource,
          kind: found.responseKind.kind,
          namespaced: found.scope === "Namespaced",
          verbs: found.verbs,
          shortNames: found.shortNames ?? [],
          subresources: (found.subresources ?? []).map((one) => one.subresource),
        });
      }
    }
  }
  return [...kinds.values()].filter((kind) => kind.verbs.includes("list") || kind.verbs.includes("create"));
}

export function can(kind: Kind, verb: string): boolean {
  return kind.verbs.includes(verb);
}

export function pathOf(kind: Kind, namespace = "", name = "", subresource = ""): string {
  const parts = [kind.group ? `/apis/${kind.group}/${kind.version}` : `/api/${kind.version}`];
  if (kind.namespaced && namespace) parts.push("namespaces", encodeURIComponent(namespace));
  parts.push(kind.resource);
  if (name) parts.push(encodeURIComponent(name));
  if (subresource) parts.push(subresource);
  return parts.join("/");
}

/** The kind of an object or an owner reference; undefined when the server has it no more. */
export function kindOf(kinds: Kind[], apiVersion: string, name: string): Kind | undefined {
  const group = apiVersion.includes("/") ? apiVersion.split("/")[0] : "";
  return kinds.find((kind) => kind.group === group && kind.kind === name);
}

export function kindBy(kinds: Kind[], group: string, resource: string): Kind | undefined {
  return kinds.find((kind) => kind.group === group && kind.resource === resource);
}
