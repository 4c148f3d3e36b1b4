// CPU and memory from metrics.k8s.io where it is served; the history begins with the page.
import { useEffect, useState } from "preact/hooks";
import { parseQuantity } from "../logic/quantity";
import { useKinds } from "../context";
import { ApiError, get } from "./http";

export interface Usage {
  cpu: number[];
  memory: number[];
}

interface Item {
  metadata: { name: string; namespace?: string };
  usage?: { cpu: string; memory: string };
  containers?: { usage: { cpu: string; memory: string } }[];
}

const POLL_MILLISECONDS = 5000;
const KEPT = 240;
const BASE = "/apis/metrics.k8s.io/v1beta1";

/** By "namespace/name" of pods, or the name of nodes; null without metrics. path: below the group. */
export function useMetrics(path: string): Map<string, Usage> | null {
  const served = useKinds().some((kind) => kind.group === "metrics.k8s.io");
  const [usages, setUsages] = useState<Map<string, Usage> | null>(null);
  useEffect(() => {
    if (!served) return;
    const history = new Map<string, Usage>();
    let stopped = false;
    let timer = 0;
    const poll = async () => {
      try {
        const answer = await get<{ items: Item[] }>(`${BASE}/${path}`);
        for (const item of answer.items) keep(history, item);
        if (!stopped) setUsages(new Map(history));
      } catch (error) {
        // No sample yet, or its server restarts: asked again.
        if (!(error instanceof ApiError)) throw error;
      }
      if (!stopped) timer = window.setTimeout(() => void poll(), POLL_MILLISECONDS);
    };
    void poll();
    return () => {
      stopped = true;
      clearTimeout(timer);
    };
  }, [served, path]);
  return usages;
}

function keep(history: Map<string, Usage>, item: Item): void {
  const { name, namespace } = item.metadata;
  const key = namespace ? `${namespace}/${name}` : name;
  const used = item.usage ? [item.usage] : (item.containers ?? []).map((one) => one.usage);
  const old = history.get(key) ?? { cpu: [], memory: [] };
  const sum = (what: "cpu" | "memory") => used.reduce((total, one) => total + parseQuantity(one[what]), 0);
  history.set(key, { cpu: [...old.cpu, sum("cpu")].slice(-KEPT), memory: [...old.memory, sum("memory")].slice(-KEPT) });
}
