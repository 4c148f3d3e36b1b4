// An object's facts: conditions, containers, owners, what it owns, events, usage.
import { useMemo } from "preact/hooks";
import { kindBy, kindOf } from "../api/kinds";
import type { Kind } from "../api/kinds";
import { OBJECTS, useLive } from "../api/live";
import { useMetrics } from "../api/metrics";
import type { Any, KubeObject } from "../api/objects";
import { useKinds } from "../context";
import { ageOf } from "../logic/age";
import { conditionsOf } from "../logic/health";
import { bytesText, cpuText } from "../logic/quantity";
import { Chart } from "../parts/chart";
import { useNow } from "../parts/now";
import { objectLink } from "../router";
import { List } from "./list";

export function Summary({ kind, object }: { kind: Kind; object: KubeObject }) {
  const kinds = useKinds();
  const pods = kindBy(kinds, "", "pods");
  const selector = podSelector(object);
  return (
    <div class="summary">
      <Facts object={object} />
      <Usage kind={kind} object={object} />
      <Conditions object={object} />
      {kind.resource === "pods" && <Containers pod={object} />}
      <Values title="Status" value={object.status} without={["conditions", "containerStatuses", "initContainerStatuses", "images"]} />
      {!object.spec && <Values title="Data" value={object.data} without={[]} secret={object.kind === "Secret"} />}
      <Events object={object} />
      {pods && selector && <List kind={pods} namespace={object.metadata.namespace ?? ""} query={selector} embedded />}
    </div>
  );
}

/** The query by which an object's pods are found; empty for kinds without pods. */
function podSelector(object: KubeObject): string {
  if (object.kind === "Node") return `fieldSelector=${encodeURIComponent(`spec.nodeName=${object.metadata.name}`)}`;
  const selector = object.spec?.selector;
  const labels: unknown = object.kind === "Service" || object.kind === "ReplicationController" ? selector : selector?.matchLabels;
  if (!labels || typeof labels !== "object" || !Object.keys(labels).length) return "";
  const text = Object.entries(labels).map(([key, value]) => `${key}=${String(value)}`).join(",");
  return `labelSelector=${encodeURIComponent(text)}`;
}

function Facts({ object }: { object: KubeObject }) {
  const kinds = useKinds();
  const now = useNow();
  const { metadata } = object;
  return (
    <dl class="facts">
      <div><dt>Age</dt><dd title={metadata.creationTimestamp}>{ageOf(metadata.creationTimestamp, now)}</dd></div>
      {object.spec?.nodeName && <div><dt>Node</dt><dd><Link apiVersion="v1" kind="Node" name={object.spec.nodeName} /></dd></div>}
      {metadata.ownerReferences?.length && (
        <div>
          <dt>Owned by</dt>
          <dd>
            {metadata.ownerReferences.map((owner) => {
              const found = kindOf(kinds, owner.apiVersion, owner.kind);
              const place = found?.namespaced ? metadata.namespace : "";
              return <span key={owner.uid}>{owner.kind} {found ? <a href={objectLink(found, { name: owner.name, namespace: place })}>{owner.name}</a> : owner.name} </span>;
            })}
          </dd>
        </div>
      )}
      <Pairs title="Labels" pairs={metadata.labels} />
      <Pairs title="Annotations" pairs={metadata.annotations} />
    </dl>
  );
}

function Link({ apiVersion, kind, name }: { apiVersion: string; kind: string; name: string }) {
  const found = kindOf(useKinds(), apiVersion, kind);
  return found ? <a href={objectLink(found, { name })}>{name}</a> : <>{name}</>;
}

function Pairs({ title, pairs }: { title: string; pairs: Record<string, string> | undefined }) {
  const shown = Object.entries(pairs ?? {}).filter(([key]) => key !== "kubectl.kubernetes.io/last-applied-configuration");
  if (!shown.length) return null;
  return <div><dt>{title}</dt><dd>{shown.map(([key, value]) => <code key={key} class="pair">{key}={value}</code>)}</dd></div>;
}

function Conditions({ object }: { object: KubeObject }) {
  const now = useNow();
  const conditions = conditionsOf(object);
  if (!conditions.length) return null;
  return (
    <section aria-labelledby="conditions">
      <h2 id="conditions">Conditions</h2>
      <table>
        <thead><tr><th>Type</th><th>Status</th><th>Since</th><th>Reason</th><th>Message</th></tr></thead>
        <tbody>
          {conditions.map((one) => (
            <tr key={one.type}>
              <td>{one.type}</td><td>{one.status}</td><td>{ageOf(one.lastTransitionTime, now)}</td><td>{one.reason}</td><td class="message">{one.message}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function Containers({ pod }: { pod: KubeObject }) {
  const statuses: Any[] = [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])];
  const containers: Any[] = [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])];
  return (
    <section aria-labelledby="containers">
      <h2 id="containers">Containers</h2>
      <table>
        <thead><tr><th>Name</th><th>Image</th><th>State</th><th>Restarts</th><th>Ports</th></tr></thead>
        <tbody>
          {containers.map((one) => {
            const status = statuses.find((other) => other.name === one.name);
            return (
              <tr key={one.name}>
                <td>{one.name}</td>
                <td class="message">{one.image}</td>
                <td class="message">{stateText(status)}</td>
                <td>{status?.restartCount ?? 0}</td>
                <td>{(one.ports ?? []).map((port: Any) => `${port.containerPort}/${port.protocol ?? "TCP"}`).join(", ")}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </section>
  );
}

function stateText(status: Any): string {
  const [state, detail] = (Object.entries(status?.state ?? {})[0] ?? ["waiting", {}]) as [string, Any];
  const code = detail.exitCode === undefined ? "" : `exit code ${detail.exitCode}`;
  return [state, detail.reason, code, detail.message].filter(Boolean).join(", ");
}

const VALUES_MAX = 60;

/** Scalars of a part of the object by their path. */
function Values({ title, value, without, secret = false }: { title: string; value: Any; without: string[]; secret?: boolean }) {
  const found = useMemo(() => flatten(value ?? {}, "", without), [value]);
  if (!found.length) return null;
  return (
    <section aria-label={title}>
      <h2>{title}</h2>
      <dl class="facts">
        {found.slice(0, VALUES_MAX).map(([path, text]) => <div key={path}><dt>{path}</dt><dd class="message">{secret ? `${text.length} characters, in the YAML` : text}</dd></div>)}
      </dl>
    </section>
  );
}

function flatten(value: Any, path: string, without: string[]): [string, string][] {
  if (value === null || typeof value !== "object") return path ? [[path, String(value)]] : [];
  return Object.entries(value).filter(([key]) => path || !without.includes(key)).flatMap(([key, inner]) => flatten(inner, path ? `${path}.${key}` : key, without));
}

function Events({ object }: { object: KubeObject }) {
  const now = useNow();
  const { uid, namespace } = object.metadata;
  // Events of nodes name the node where the uid of others stands, and lie in default.
  const wanted = object.kind === "Node" ? `involvedObject.kind=Node,involvedObject.name=${object.metadata.name}` : `involvedObject.uid=${uid}`;
  const list = useLive(`/api/v1/${namespace ? `namespaces/${namespace}/` : ""}events?fieldSelector=${encodeURIComponent(wanted)}`, OBJECTS);
  const lastOf = (event: KubeObject): string => event.series?.lastObservedTime ?? event.lastTimestamp ?? event.eventTime ?? event.metadata.creationTimestamp;
  const events = [...(list?.items.values() ?? [])].sort((a, b) => lastOf(b).localeCompare(lastOf(a)));
  return (
    <section aria-labelledby="events">
      <h2 id="events">Events</h2>
      {list?.started && !events.length && <p class="empty">No events.</p>}
      {events.length > 0 && (
        <table>
          <thead><tr><th>Last</th><th>Type</th><th>Reason</th><th>Count</th><th>Message</th></tr></thead>
          <tbody>
            {events.map((event) => (
              <tr key={event.metadata.uid}>
                <td>{ageOf(lastOf(event), now)}</td>
                <td class={event.type === "Warning" ? "bad" : ""}>{event.type}</td>
                <td>{event.reason}</td>
                <td>{event.series?.count ?? event.count ?? 1}</td>
                <td class="message">{event.message}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}

function Usage({ kind, object }: { kind: Kind; object: KubeObject }) {
  const { name, namespace } = object.metadata;
  if (kind.group !== "" || (kind.resource !== "nodes" && kind.resource !== "pods")) return null;
  // A list of one, as it has no error while there is no sample yet.
  const place = namespace ? `namespaces/${namespace}/` : "";
  const path = `${place}${kind.resource}?fieldSelector=${encodeURIComponent(`metadata.name=${name}`)}`;
  return <UsageCharts path={path} name={namespace ? `${namespace}/${name}` : name} />;
}

function UsageCharts({ path, name }: { path: string; name: string }) {
  const used = useMetrics(path)?.get(name);
  if (!used) return null;
  return (
    <section class="charts" aria-label="CPU and memory">
      <Chart title="CPU" values={used.cpu} text={cpuText} />
      <Chart title="Memory" values={used.memory} text={bytesText} />
    </section>
  );
}
