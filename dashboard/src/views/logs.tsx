// A container's log: followed, searched, of the run before too.
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { openStream } from "../api/streams";
import type { Any, KubeObject } from "../api/objects";
import { useKeys } from "../parts/keys";
import { VirtualRows } from "../parts/virtual_rows";

const LINES_MAX = 100_000;
const TAIL = 5000;
const LINE_HEIGHT = 18;

export function containersOf(pod: KubeObject): string[] {
  const all: Any[] = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? []), ...(pod.spec?.ephemeralContainers ?? [])];
  return all.map((one) => one.name as string);
}

export function Logs({ pod }: { pod: KubeObject }) {
  const names = containersOf(pod);
  const [container, setContainer] = useState(names[0] ?? "");
  const [previous, setPrevious] = useState(false);
  const [follow, setFollow] = useState(true);
  const [times, setTimes] = useState(false);
  const [search, setSearch] = useState("");
  const [only, setOnly] = useState(false);
  const field = useRef<HTMLInputElement>(null);
  const { lines, ended } = useLog(pod, { container, previous, times });
  const needle = search.toLowerCase();
  const hits = useMemo(() => (needle ? lines.filter((line) => line.toLowerCase().includes(needle)).length : 0), [lines, needle]);
  const shown = useMemo(() => (needle && only ? lines.filter((line) => line.toLowerCase().includes(needle)) : lines), [lines, needle, only]);
  useKeys([
    { key: "/", text: "search the log", run: () => field.current?.focus() },
    { key: "f", text: "follow the log", run: () => setFollow(!follow) },
    { key: "p", text: "log of the run before", run: () => setPrevious(!previous) },
  ]);
  const check = (text: string, value: boolean, set: (value: boolean) => void) => (
    <label class="check"><input type="checkbox" checked={value} onChange={() => set(!value)} /> {text}</label>
  );
  return (
    <section class="logs" aria-label="Log">
      <div class="bar">
        <label>Container <select value={container} onChange={(event) => setContainer(event.currentTarget.value)}>{names.map((name) => <option key={name}>{name}</option>)}</select></label>
        {check("follow", follow, setFollow)}
        {check("previous", previous, setPrevious)}
        {check("times", times, setTimes)}
        <input ref={field} type="search" placeholder="Search ( / )" aria-label="Search the log" value={search} onInput={(event) => setSearch(event.currentTarget.value)} />
        {check("only hits", only, setOnly)}
        <span class="count" role="status">{needle ? `${hits} of ${lines.length} lines` : `${lines.length} lines`}</span>
      </div>
      {ended && <p class={lines.length ? "note" : "error"} role="status">{ended}</p>}
      <LogLines lines={shown} needle={needle} follow={follow} stop={() => setFollow(false)} />
    </section>
  );
}

function useLog(pod: KubeObject, { container, previous, times }: { container: string; previous: boolean; times: boolean }) {
  const [log, setLog] = useState<{ lines: string[]; ended: string }>({ lines: [], ended: "" });
  const { name, namespace, uid } = pod.metadata;
  // A restart begins another log, which is then followed.
  const run = [...(pod.status?.containerStatuses ?? [])].find((one: Any) => one.name === container)?.containerID ?? "";
  useEffect(() => {
    setLog({ lines: [], ended: "" });
    let waiting: string[] = [];
    let timer = 0;
    const flush = () => {
      timer = 0;
      const more = waiting;
      waiting = [];
      setLog((old) => ({ ...old, lines: [...old.lines, ...more].slice(-LINES_MAX) }));
    };
    const query = new URLSearchParams({ container, follow: String(!previous), tailLines: String(TAIL), previous: String(previous), timestamps: String(times) });
    const close = openStream(`/api/v1/namespaces/${namespace}/pods/${name}/log?${query}`, "*/*", {
      lines: (lines) => {
        waiting.push(...lines);
        timer ||= window.setTimeout(flush, 50);
      },
      end: (_, error) => setLog((old) => ({ ...old, ended: error || "The log has ended." })),
    });
    return () => {
      close();
      clearTimeout(timer);
    };
  }, [uid, container, previous, times, run]);
  return log;
}

function LogLines({ lines, needle, follow, stop }: { lines: string[]; needle: string; follow: boolean; stop: () => void }) {
  const scroller = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const element = scroller.current;
    if (follow && element) element.scrollTop = element.scrollHeight;
  }, [lines, follow]);
  const wheel = (event: WheelEvent) => event.deltaY < 0 && stop();
  return (
    <div class="lines" ref={scroller} tabIndex={0} role="log" aria-label="Lines" aria-live="off" onWheel={wheel} onKeyDown={(event) => ["PageUp", "ArrowUp", "Home"].includes(event.key) && stop()}>
      <VirtualRows scroller={scroller} count={lines.length} height={LINE_HEIGHT} row={(index) => <div key={index} class="line">{marked(lines[index]!, needle)}</div>} />
    </div>
  );
}

const ESCAPES = /\x1b\[[0-9;?]*[A-Za-z]/g;

function marked(line: string, needle: string) {
  const text = line.replace(ESCAPES, "");
  if (!needle) return text;
  const parts = [];
  const lower = text.toLowerCase();
  let at = 0;
  for (let hit = lower.indexOf(needle); hit >= 0; hit = lower.indexOf(needle, at)) {
    parts.push(text.slice(at, hit), <mark key={hit}>{text.slice(hit, hit + needle.length)}</mark>);
    at = hit + needle.length;
  }
  return [...parts, text.slice(at)];
}
