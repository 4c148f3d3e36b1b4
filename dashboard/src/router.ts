// Addresses within the page: `#/VIEW/...?ns=NAMESPACE`. No token and no secret stands in them.
import { useEffect, useState } from "preact/hooks";
import type { Kind } from "./api/kinds";
import type { Meta } from "./api/objects";

export interface Route {
  view: string;
  parts: string[];
  namespace: string;
}

export function parse(hash: string): Route {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split("?");
  const [view = "", ...parts] = path.split("/").map(decodeURIComponent);
  return { view: view || "overview", parts, namespace: new URLSearchParams(query).get("ns") ?? "" };
}

export function linkTo(view: string, parts: string[] = [], namespace = current().namespace): string {
  const path = [view, ...parts].map(encodeURIComponent).join("/");
  return `#/${path}${namespace ? `?ns=${encodeURIComponent(namespace)}` : ""}`;
}

export function listLink(kind: Kind, namespace?: string): string {
  return linkTo("list", [kind.group || "core", kind.resource], namespace);
}

export function objectLink(kind: Kind, meta: Pick<Meta, "name" | "namespace">, tab = "summary"): string {
  return linkTo("object", [kind.group || "core", kind.resource, meta.namespace || "-", meta.name, tab]);
}

export function current(): Route {
  return parse(location.hash);
}

export function go(link: string): void {
  location.hash = link;
}

export function useRoute(): Route {
  const [route, setRoute] = useState(current);
  useEffect(() => {
    const changed = () => setRoute(current());
    addEventListener("hashchange", changed);
    return () => removeEventListener("hashchange", changed);
  }, []);
  return route;
}
