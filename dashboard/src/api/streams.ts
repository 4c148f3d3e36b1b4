// Endless answers (watches, followed logs), all over one WebSocket where the proxy has one.
// A browser opens only six HTTP/1.1 connections to an origin, for all tabs together.
import { ROOT, errorOf, messageOf } from "./http";

export interface Handler {
  lines(lines: string[]): void;
  /** Called once, unless the stream was closed by us. status 0: the connection broke. */
  end(status: number, error: string): void;
}

interface Said {
  id: number;
  status?: number;
  end?: boolean;
  error?: string;
}

const OPEN_MILLISECONDS_MAX = 4000;
const handlers = new Map<number, Handler>();
let number = 0;
let socket: Promise<WebSocket | null> | null = null;
let everOpened = false;

/** Start an answer; the result closes it. */
export function openStream(path: string, accept: string, handler: Handler): () => void {
  const id = ++number;
  let close = () => {};
  let closed = false;
  handlers.set(id, handler);
  void connection().then((open) => {
    if (closed) return;
    if (open) {
      open.send(JSON.stringify({ open: id, path: ROOT + path, accept }));
      close = () => open.readyState === WebSocket.OPEN && open.send(JSON.stringify({ close: id }));
    } else {
      close = fetched(path, accept, id);
    }
  });
  return () => {
    closed = true;
    handlers.delete(id);
    close();
  };
}

/** The shared connection; null: this proxy has none (`kubectl proxy`), each stream is a request. */
function connection(): Promise<WebSocket | null> {
  socket ??= new Promise((resolve) => {
    const address = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${ROOT}/tiphys/v1/streams`;
    const opening = new WebSocket(address);
    opening.binaryType = "arraybuffer";
    const timer = setTimeout(() => opening.close(), OPEN_MILLISECONDS_MAX);
    opening.onopen = () => {
      clearTimeout(timer);
      everOpened = true;
      resolve(opening);
    };
    opening.onmessage = (event: MessageEvent<string | ArrayBuffer>) => receive(event.data);
    opening.onclose = () => {
      clearTimeout(timer);
      resolve(null);
      if (everOpened) {
        socket = null;
        for (const id of [...handlers.keys()]) finish(id, 0, "the connection broke");
      }
    };
  });
  return socket;
}

const decoder = new TextDecoder();

function receive(data: string | ArrayBuffer): void {
  if (typeof data === "string") {
    const said = JSON.parse(data) as Said;
    if (said.end) finish(said.id, said.status ?? 0, said.error ?? "");
    return;
  }
  const text = decoder.decode(data);
  const at = text.indexOf("\n");
  handlers.get(Number(text.slice(0, at)))?.lines(text.slice(at + 1).split("\n"));
}

function finish(id: number, status: number, error: string): void {
  const handler = handlers.get(id);
  handlers.delete(id);
  handler?.end(status, error);
}

function fetched(path: string, accept: string, id: number): () => void {
  const stop = new AbortController();
  const run = async () => {
    const answer = await fetch(ROOT + path, { headers: { Accept: accept }, signal: stop.signal });
    if (!answer.ok || !answer.body) {
      const error = errorOf(answer.status, await answer.text());
      return finish(id, error.status, error.message);
    }
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
      const lines = (rest + piece.value).split("\n");
      rest = lines.pop() ?? "";
      if (lines.length) handlers.get(id)?.lines(lines);
    }
    if (rest) handlers.get(id)?.lines([rest]);
    finish(id, 0, "");
  };
  run().catch((error: unknown) => finish(id, 0, messageOf(error)));
  return () => stop.abort();
}
