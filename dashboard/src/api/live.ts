// A list that stays true: listed page by page, then watched from the list's version on.
import { useEffect, useState } from "preact/hooks";
import { ApiError, TABLE, get, messageOf } from "./http";
import type { Any, Column, KubeObject, Meta } from "./objects";
import { openStream } from "./streams";

export interface Row {
  cells: Any[];
  metadata: Meta;
}

/** How answers become entries. */
export interface Shape<T> {
  accept: string;
  items(answer: Any): T[];
  metadata(item: T): Meta;
}

export const OBJECTS: Shape<KubeObject> = {
  accept: "application/json",
  items: (answer) => answer.items ?? [answer],
  metadata: (item) => item.metadata,
};

export const ROWS: Shape<Row> = {
  accept: TABLE,
  items: (answer) => (answer.rows ?? []).map((row: Any) => ({ cells: row.cells, metadata: row.object.metadata })),
  metadata: (item) => item.metadata,
};

// The first page is on the screen while the rest is on its way.
const FIRST_PAGE = 200;
const PAGE = 2500;
const BACKOFF_MILLISECONDS_MAX = 15000;
const QUICK_MILLISECONDS = 250; // A hidden tab gets no animation frames.

const LONG = 1000;
const LONG_PAUSE_MILLISECONDS = 400;

export class LiveList<T> {
  readonly items = new Map<string, T>();
  columns: Column[] = [];
  /** Set with the first page, and with all of them. */
  started = false;
  complete = false;
  error = "";
  /** Grows with every change that is told. */
  version = 0;
  private resourceVersion = "";
  private failures = 0;
  private stopped = false;
  private closeStream = () => {};
  private timer = 0;
  private abort = new AbortController();
  private scheduled = false;
  private toldAt = 0;
  private readonly listeners = new Set<() => void>();

  /** path may hold a query. */
  constructor(
    private readonly path: string,
    private readonly shape: Shape<T>,
  ) {
    void this.list();
  }

  subscribe(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  stop(): void {
    this.stopped = true;
    this.abort.abort();
    clearTimeout(this.timer);
    this.closeStream();
  }

  private async list(): Promise<void> {
    const seen = new Set<string>();
    let next = "";
    let limit = FIRST_PAGE;
    try {
      do {
        const more = next ? `&continue=${encodeURIComponent(next)}` : "";
        const answer = await get<Any>(this.with(`limit=${limit}${more}`), {
          accept: this.shape.accept,
          signal: this.abort.signal,
        });
        if (answer.columnDefinitions) this.columns = answer.columnDefinitions;
        for (const item of this.shape.items(answer)) this.put(item, seen);
        this.resourceVersion = answer.metadata.resourceVersion;
        next = answer.metadata.continue ?? "";
        limit = PAGE;
        this.started = true;
        this.changed();
      } while (next && !this.stopped);
    } catch (error) {
      if (!this.stopped) this.failed(error);
      return;
    }
    for (const uid of this.items.keys()) if (!seen.has(uid)) this.items.delete(uid);
    this.complete = true;
    this.error = "";
    this.failures = 0;
    this.changed();
    if (!this.stopped) this.watch();
  }

  private watch(): void {
    const query = `watch=1&allowWatchBookmarks=true&resourceVersion=${this.resourceVersion}`;
    this.closeStream = openStream(this.with(query), this.shape.accept, {
      lines: (lines) => lines.forEach((line) => line && this.apply(JSON.parse(line))),
      end: (status, error) => {
        if (this.stopped) return;
        if (status === 410) this.resourceVersion = "";
        this.again(status >= 400 ? error : "");
      },
    });
  }

  private apply(event: { type: string; object: Any }): void {
    this.failures = 0;
    const { type, object } = event;
    if (type === "ERROR") {
      if (object.code === 410) this.resourceVersion = "";
      else this.error = object.message;
      return;
    }
    if (object.metadata?.resourceVersion) this.resourceVersion = object.metadata.resourceVersion;
    if (type === "BOOKMARK") return;
    if (object.columnDefinitions?.length) this.columns = object.columnDefinitions;
    for (const item of this.shape.items(object)) {
      const { uid, resourceVersion } = this.shape.metadata(item);
      this.resourceVersion = resourceVersion;
      if (type === "DELETED") this.items.delete(uid);
      else this.items.set(uid, item);
    }
    this.error = "";
    this.changed();
  }

  private put(item: T, seen: Set<string>): void {
    const { uid } = this.shape.metadata(item);
    seen.add(uid);
    this.items.set(uid, item);
  }

  private failed(error: unknown): void {
    const kept = error instanceof ApiError && error.status === 410 ? "" : messageOf(error);
    this.started = true;
    this.resourceVersion = "";
    this.again(kept);
  }

  private again(error: string): void {
    this.error = error;
    this.changed();
    const wait = Math.min(BACKOFF_MILLISECONDS_MAX, this.failures ? 250 * 2 ** this.failures : 50);
    this.failures += 1;
    this.timer = window.setTimeout(() => (this.resourceVersion ? this.watch() : void this.list()), wait);
  }

  private with(query: string): string {
    return this.path + (this.path.includes("?") ? "&" : "?") + query;
  }

  /** Tell once per frame, of long lists less often: each time they are sorted anew. */
  private changed(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    let told = false;
    const tell = () => {
      if (told || this.stopped) return;
      told = true;
      this.scheduled = false;
      this.toldAt = performance.now();
      this.version += 1;
      for (const listener of this.listeners) listener();
    };
    const pause = this.items.size > LONG ? this.toldAt + LONG_PAUSE_MILLISECONDS - performance.now() : 0;
    if (pause > 0) {
      setTimeout(tell, pause);
    } else {
      requestAnimationFrame(tell);
      setTimeout(tell, QUICK_MILLISECONDS);
    }
  }
}

/** The list at path while the component is there; null without a path. */
export function useLive<T>(path: string | null, shape: Shape<T>): LiveList<T> | null {
  const [list, setList] = useState<LiveList<T> | null>(null);
  const [, setVersion] = useState(0);
  useEffect(() => {
    if (path === null) return setList(null);
    const made = new LiveList(path, shape);
    setList(made);
    const leave = made.subscribe(() => setVersion(made.version));
    return () => {
      leave();
      made.stop();
    };
  }, [path, shape]);
  return list;
}
