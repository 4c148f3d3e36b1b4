// What runs, and what does not and why.
import { useEffect, useMemo, useState } from "preact/hooks";
import { imagesOf } from "../api/actions";
import { get } from "../api/http";
import { kindBy, kindOf } from "../api/kinds";
import { OBJECTS, ROWS, useLive } from "../api/live";
import type { LiveList, Row } from "../api/live";
import { useMetrics } from "../api/metrics";
import type { KubeObject, Meta } from "../api/objects";
import { useKinds } from "../context";
import { ageOf } from "../logic/age";
import { podCellsHealthy, problemOf, readiness } from "../logic/health";
import { bytesText, cpuText, parseQuantity } from "../logic/quantity";
import { Chart } from "../parts/chart";
import { useNow } from "../parts/now";
import { linkTo, listLink, objectLink } from "../router";

const WORKLOADS = [["apps/v1", "deployments"], ["apps/v1", "statefulsets"], ["apps/v1", "daemonsets"], ["batch/v1", "jobs"]] as const;
const REASONS_MAX = 25; // Of unhealthy pods, whose reasons are asked for one by one.
const SHOWN_MAX = 200;

interface Trouble {
  object: KubeObject;
  reason: string;
  message: string;
}

export function Overview({ namespace }: { namespace: string }) {
  const place = namespace ? `namespaces/${namespace}/` : "";
  const nodes = useLive("/api/v1/nodes", OBJECTS);
  const pods = useLive(`/api/v1/${place}pods`, ROWS);
  const claims = useLive(`/api/v1/${place}persistentvolumeclaims`, OBJECTS);
  const lists = WORKLOADS.map(([version, resource]) => useLive(`/apis/${version}/${place}${resource}`, OBJECTS));
  const workloads = lists.flatMap((list, at) => withKind(list, ["Deployment", "StatefulSet", "DaemonSet", "Job"][at]!, WORKLOADS[at]![0]));
  const machines = withKind(nodes, "Node", "v1");
  const ill = useUnhealthyPods(pods);
  const troubles: Trouble[] = [...machines, ...workloads, ...withKind(claims, "PersistentVolumeClaim", "v1"), ...ill.objects].flatMap((object) => {
    const problem = problemOf(object);
    return problem ? [{ object, ...problem }] : [];
  });
  const started = Boolean(nodes?.started && pods?.started && lists.every((list) => list?.started));
  const errors = [nodes, pods, claims, ...lists].flatMap((list) => (list?.error ? [list.error] : []));
  const unreadyNodes = machines.filter((one) => problemOf(one)).length;
  return (
    <div class="overview">
      <h1>Overview{namespace && ` of ${namespace}`}</h1>
      {errors.length > 0 && <p class="error" role="alert">{errors[0]}</p>}
      <div class="tiles">
        <Tile title="Nodes ready" value={machines.length - unreadyNodes} of={machines.length} link="nodes" />
        <Tile title="Pods healthy" value={ill.total - ill.count} of={ill.total} link="pods" more={pods?.complete === false} />
        <Tile title="Workloads ready" value={workloads.filter((one) => !problemOf(one)).length} of={workloads.length} link="apps/deployments" />
      </div>
      <section aria-labelledby="attention">
        <h2 id="attention">Needs attention</h2>
        {started && !troubles.length && ill.count === 0 && <p class="good">Everything is healthy.</p>}
        {troubles.length > 0 && <Troubles troubles={troubles} more={ill.count - ill.objects.length} />}
      </section>
      <NodeCharts nodes={machines} />
      <Workloads workloads={workloads} started={started} />
    </div>
  );
}

/** Items of a list have no kind of their own in JSON. */
function withKind(list: LiveList<KubeObject> | null, kind: string, apiVersion: string): KubeObject[] {
  return [...(list?.items.values() ?? [])].map((object) => ({ ...object, kind, apiVersion }));
}

function useUnhealthyPods(pods: LiveList<Row> | null): { total: number; count: number; objects: KubeObject[] } {
  const [known, setKnown] = useState(new Map<string, KubeObject>());
  const rows = useMemo(() => {
    const ready = pods?.columns.findIndex((one) => one.name === "Ready") ?? -1;
    const status = pods?.columns.findIndex((one) => one.name === "Status") ?? -1;
    return [...(pods?.items.values() ?? [])].filter((row) => !podCellsHealthy(String(row.cells[ready]), String(row.cells[status])));
  }, [pods, pods?.version]);
  const asked = rows.slice(0, REASONS_MAX);
  const versions = asked.map((row) => row.metadata.resourceVersion).join();
  useEffect(() => {
    let stopped = false;
    const ask = async () => {
      const found = new Map<string, KubeObject>();
      for (const { metadata } of asked) {
        const old = known.get(metadata.uid);
        const pod = old?.metadata.resourceVersion === metadata.resourceVersion ? old : await podNow(metadata);
        if (pod) found.set(metadata.uid, pod);
      }
      if (!stopped) setKnown(found);
    };
    void ask();
    return () => {
      stopped = true;
    };
  }, [versions]);
  const objects = asked.flatMap((row) => known.get(row.metadata.uid) ?? []);
  return { total: pods?.items.size ?? 0, count: rows.length, objects };
}

/** Null when it is gone meanwhile, of which the watch tells. */
async function podNow({ namespace, name }: Meta): Promise<KubeObject | null> {
  const query = `fieldSelector=${encodeURIComponent(`metadata.name=${name}`)}`;
  const list = await get<{ items: KubeObject[] }>(`/api/v1/namespaces/${namespace}/pods?${query}`).catch(() => null);
  const pod = list?.items[0];
  return pod ? { ...pod, kind: "Pod", apiVersion: "v1" } : null;
}

function Tile({ title, value, of, link, more = false }: { title: string; value: number; of: number; link: string; more?: boolean }) {
  const kind = kindBy(useKinds(), link.includes("/") ? link.split("/")[0]! : "", link.split("/").at(-1)!);
  return (
    <a class={value < of ? "tile bad" : "tile"} href={kind ? listLink(kind) : linkTo("overview")}>
      <strong>{value}<small> / {of}{more ? " …" : ""}</small></strong>
      <span>{title}</span>
    </a>
  );
}

function Name({ object }: { object: KubeObject }) {
  const kind = kindOf(useKinds(), object.apiVersion, object.kind);
  return kind ? <a href={objectLink(kind, object.metadata)}>{object.metadata.name}</a> : <span>{object.metadata.name}</span>;
}

function Troubles({ troubles, more }: { troubles: Trouble[]; more: number }) {
  return (
    <table>
      <thead><tr><th>Kind</th><th>Namespace</th><th>Name</th><th>Reason</th><th>Message</th></tr></thead>
      <tbody>
        {troubles.slice(0, SHOWN_MAX).map(({ object, reason, message }) => (
          <tr key={object.metadata.uid}>
            <td>{object.kind}</td>
            <td>{object.metadata.namespace}</td>
            <td><Name object={object} /></td>
            <td class="bad">{reason}</td>
            <td class="message">{message}</td>
          </tr>
        ))}
        {more > 0 && <tr><td colSpan={5}>and {more} more pods</td></tr>}
      </tbody>
    </table>
  );
}

function NodeCharts({ nodes }: { nodes: KubeObject[] }) {
  const usages = useMetrics("nodes");
  if (!usages?.size) return null;
  return (
    <section aria-labelledby="usage">
      <h2 id="usage">CPU and memory</h2>
      <div class="charts">
        {nodes.flatMap((node) => {
          const used = usages.get(node.metadata.name);
          if (!used) return [];
          const { cpu, memory } = node.status?.capacity ?? {};
          return [
            <Chart key={`${node.metadata.name} cpu`} title={`${node.metadata.name} CPU`} values={used.cpu} text={cpuText} top={parseQuantity(cpu)} />,
            <Chart key={`${node.metadata.name} memory`} title={`${node.metadata.name} memory`} values={used.memory} text={bytesText} top={parseQuantity(memory)} />,
          ];
        })}
      </div>
    </section>
  );
}

function Workloads({ workloads, started }: { workloads: KubeObject[]; started: boolean }) {
  const now = useNow();
  const sorted = [...workloads].sort((a, b) => `${a.metadata.namespace}/${a.metadata.name}`.localeCompare(`${b.metadata.namespace}/${b.metadata.name}`));
  return (
    <section aria-labelledby="workloads">
      <h2 id="workloads">What runs</h2>
      {started && !sorted.length && <p class="empty">No workload here. Press <kbd>c</kbd> to create one.</p>}
      {sorted.length > 0 && (
        <table>
          <thead><tr><th>Kind</th><th>Namespace</th><th>Name</th><th>Ready</th><th>Images</th><th>Age</th></tr></thead>
          <tbody>
            {sorted.slice(0, SHOWN_MAX).map((object) => (
              <tr key={object.metadata.uid}>
                <td>{object.kind}</td>
                <td>{object.metadata.namespace}</td>
                <td><Name object={object} /></td>
                <td class={problemOf(object) ? "bad" : ""}>{readiness(object)}</td>
                <td class="message">{imagesOf(object.spec?.template?.spec).join(", ")}</td>
                <td>{ageOf(object.metadata.creationTimestamp, now)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}
