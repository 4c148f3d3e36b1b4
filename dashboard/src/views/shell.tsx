// A shell in a container: exec over a WebSocket, drawn by xterm.
import { FitAddon } from "@xterm/addon-fit";
import { Terminal } from "@xterm/xterm";
import { useEffect, useRef, useState } from "preact/hooks";
import { ROOT } from "../api/http";
import type { KubeObject } from "../api/objects";
import { containersOf } from "./logs";

// Channels of v4.channel.k8s.io. Upstream: apimachinery util/remotecommand.
const STDIN = 0;
const ERROR = 3;
const RESIZE = 4;
const COMMAND = ["sh", "-c", "command -v bash >/dev/null && exec bash; exec sh"];

export function Shell({ pod }: { pod: KubeObject }) {
  const names = containersOf(pod);
  const [container, setContainer] = useState(names[0] ?? "");
  const [run, setRun] = useState(0);
  const [status, setStatus] = useState("connecting");
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => connect(pod, container, place.current!, setStatus), [pod.metadata.uid, container, run]);
  return (
    <section class="shell" aria-label="Shell">
      <div class="bar">
        <label>Container <select value={container} onChange={(event) => setContainer(event.currentTarget.value)}>{names.map((name) => <option key={name}>{name}</option>)}</select></label>
        <span role="status">{status}</span>
        <button type="button" onClick={() => setRun(run + 1)}>Connect again</button>
      </div>
      <div class="terminal" ref={place} />
    </section>
  );
}

/** Open the shell in place; the result closes it. */
function connect(pod: KubeObject, container: string, place: HTMLElement, say: (status: string) => void): () => void {
  say("connecting");
  const terminal = new Terminal({ cursorBlink: true, screenReaderMode: true, fontSize: 13, theme: { background: "#11161d" } });
  const fit = new FitAddon();
  terminal.loadAddon(fit);
  terminal.open(place);
  const { name, namespace } = pod.metadata;
  const query = new URLSearchParams({ container, stdin: "true", stdout: "true", tty: "true" });
  COMMAND.forEach((word) => query.append("command", word));
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const socket = new WebSocket(`${scheme}://${location.host}${ROOT}/api/v1/namespaces/${namespace}/pods/${name}/exec?${query}`, ["v5.channel.k8s.io", "v4.channel.k8s.io"]);
  socket.binaryType = "arraybuffer";
  const encoder = new TextEncoder();
  const send = (channel: number, text: string) => {
    if (socket.readyState !== WebSocket.OPEN) return;
    const bytes = encoder.encode(text);
    const frame = new Uint8Array(bytes.length + 1);
    frame[0] = channel;
    frame.set(bytes, 1);
    socket.send(frame);
  };
  terminal.onData((text) => send(STDIN, text));
  terminal.onResize(({ cols, rows }) => send(RESIZE, JSON.stringify({ Width: cols, Height: rows })));
  const sized = new ResizeObserver(() => fit.fit());
  socket.onopen = () => {
    say("connected");
    sized.observe(place);
    fit.fit();
    send(RESIZE, JSON.stringify({ Width: terminal.cols, Height: terminal.rows }));
    terminal.focus();
  };
  let ended = "";
  socket.onmessage = (event: MessageEvent<ArrayBuffer>) => {
    const bytes = new Uint8Array(event.data);
    if (bytes[0] === ERROR) ended = statusText(new TextDecoder().decode(bytes.subarray(1)));
    else terminal.write(bytes.subarray(1));
  };
  socket.onclose = (event) => say(ended || event.reason || (event.wasClean ? "the shell has ended" : "the connection was refused or broke: does the container run, and has it a shell?"));
  return () => {
    sized.disconnect();
    socket.onclose = null;
    socket.close();
    terminal.dispose();
  };
}

function statusText(text: string): string {
  try {
    const status = JSON.parse(text) as { status?: string; message?: string };
    return status.status === "Success" ? "the shell has ended" : (status.message ?? text);
  } catch {
    return text;
  }
}
