// One object, live: a summary and what can be done with it, one tab each.
import { lazyView } from "../parts/lazy";
import { useMemo } from "preact/hooks";
import { OBJECTS, useLive } from "../api/live";
import { can, pathOf } from "../api/kinds";
import type { Kind } from "../api/kinds";
import type { KubeObject } from "../api/objects";
import { problemOf } from "../logic/health";
import { ActionButtons } from "../parts/object_actions";
import { useKeys } from "../parts/keys";
import { go, linkTo, listLink, objectLink } from "../router";
import { Logs } from "./logs";
import { Revisions } from "./revisions";
import { Summary } from "./summary";
import { YamlEditor } from "./yaml";

const Shell = lazyView(() => import("./shell").then((found) => found.Shell));

interface Props {
  kind: Kind;
  namespace: string;
  name: string;
  tab: string;
}

export function ObjectView({ kind, namespace, name, tab }: Props) {
  const query = `?fieldSelector=${encodeURIComponent(`metadata.name=${name}`)}`;
  const list = useLive(pathOf(kind, namespace) + query, OBJECTS);
  const object = useMemo(() => withKind(list?.items.values().next().value, kind), [list, list?.version]);
  const tabs = tabsOf(kind);
  useKeys(tabs.map((one, at) => ({ key: String(at + 1), text: one, run: () => go(objectLink(kind, { name, namespace }, one)) })));
  const problem = object ? problemOf(object) : null;
  return (
    <div class={`object ${tab}`}>
      <p class="crumbs"><a href={listLink(kind)}>{kind.resource}</a>{namespace && <> / <a href={linkTo("overview", [], namespace)}>{namespace}</a></>}</p>
      <div class="bar">
        <h1>{name}</h1>
        <span class="badge">{kind.kind}</span>
        {object?.metadata.deletionTimestamp && <span class="badge bad">being deleted</span>}
        {problem && <span class="badge bad" title={problem.message}>{problem.reason}</span>}
        {object && <ActionButtons kind={kind} meta={object.metadata} unschedulable={Boolean(object.spec?.unschedulable)} />}
      </div>
      <div class="tabs" role="group" aria-label="Parts">
        {tabs.map((one) => <a key={one} href={objectLink(kind, { name, namespace }, one)} aria-current={one === tab ? "page" : undefined}>{one}</a>)}
      </div>
      {list?.error && <p class="error" role="alert">{list.error}</p>}
      {list?.complete && !object && <p class="empty">There is no {kind.kind} {name} here any more.</p>}
      {object && <Tab kind={kind} object={object} tab={tab} />}
    </div>
  );
}

function withKind(object: KubeObject | undefined, kind: Kind): KubeObject | undefined {
  return object && { ...object, kind: kind.kind, apiVersion: kind.group ? `${kind.group}/${kind.version}` : kind.version };
}

function tabsOf(kind: Kind): string[] {
  const tabs = ["summary", ...(can(kind, "get") ? ["yaml"] : [])];
  if (kind.group === "" && kind.resource === "pods") tabs.push("logs", "shell");
  if (kind.group === "apps" && ["deployments", "statefulsets", "daemonsets"].includes(kind.resource)) tabs.push("revisions");
  return tabs;
}

function Tab({ kind, object, tab }: { kind: Kind; object: KubeObject; tab: string }) {
  if (tab === "yaml") return <YamlEditor kind={kind} meta={object.metadata} />;
  if (tab === "logs") return <Logs pod={object} />;
  if (tab === "shell") return <Shell pod={object} />;
  if (tab === "revisions") return <Revisions kind={kind} object={object} />;
  return <Summary kind={kind} object={object} />;
}
