// The actions on one object, as buttons and keys. What changes something asks first.
import { useEffect, useState } from "preact/hooks";
import { cordon, path, remove, restart, scale } from "../api/actions";
import { get, messageOf } from "../api/http";
import { can } from "../api/kinds";
import type { Kind } from "../api/kinds";
import type { KubeObject, Meta } from "../api/objects";
import { go, listLink, objectLink } from "../router";
import { Dialog } from "./dialog";
import { useKeys } from "./keys";
import { toast } from "./toast";

interface Props {
  kind: Kind;
  meta: Meta;
  /** Only the keys and a few buttons: the bar above a list. */
  compact?: boolean;
  unschedulable?: boolean;
}

const RESTARTABLE = ["deployments", "statefulsets", "daemonsets"];

interface Action {
  name: string;
  key: string;
  run: () => void;
  danger?: boolean;
}

export function ActionButtons({ kind, meta, compact = false, unschedulable }: Props) {
  const [asked, setAsked] = useState<"" | "scale" | "restart" | "delete">("");
  const actions = actionsOf(kind, meta, unschedulable, setAsked);
  useKeys(actions.map((one) => ({ key: one.key, text: `${one.name.toLowerCase()} the object`, run: one.run })));
  const close = () => setAsked("");
  return (
    <div class="actions" role="group" aria-label={`Actions on ${meta.name}`}>
      {actions.map((one) => (
        <button key={one.name} type="button" class={one.danger ? "danger" : ""} title={`${one.name} ${meta.name} (${one.key})`} aria-keyshortcuts={one.key} onClick={one.run}>
          {one.name}
          {!compact && <kbd aria-hidden="true">{one.key}</kbd>}
        </button>
      ))}
      {asked === "scale" && <ScaleDialog kind={kind} meta={meta} close={close} />}
      {asked === "restart" && (
        <Confirm title={`Restart ${kind.kind} ${meta.name}?`} text="Its pods are replaced one after the other." word="Restart" close={close} run={() => restart(kind, meta)} done={`${meta.name} restarts`} />
      )}
      {asked === "delete" && (
        <Confirm title={`Delete ${kind.kind} ${meta.name}?`} text="What it owns is deleted with it." word="Delete" close={close} run={() => remove(kind, meta)} done={`${meta.name} is being deleted`} after={() => !compact && go(listLink(kind))} />
      )}
    </div>
  );
}

function actionsOf(kind: Kind, meta: Meta, unschedulable: boolean | undefined, ask: (what: "scale" | "restart" | "delete") => void): Action[] {
  const actions: Action[] = [];
  const core = kind.group === "";
  if (core && kind.resource === "pods") {
    actions.push({ name: "Logs", key: "l", run: () => go(objectLink(kind, meta, "logs")) });
    actions.push({ name: "Shell", key: "s", run: () => go(objectLink(kind, meta, "shell")) });
  }
  if (can(kind, "update")) actions.push({ name: "Edit", key: "e", run: () => go(objectLink(kind, meta, "yaml")) });
  if (kind.subresources.includes("scale")) actions.push({ name: "Scale", key: "=", run: () => ask("scale") });
  if (kind.group === "apps" && RESTARTABLE.includes(kind.resource)) {
    actions.push({ name: "Restart", key: "r", run: () => ask("restart") });
    actions.push({ name: "Roll back", key: "b", run: () => go(objectLink(kind, meta, "revisions")) });
  }
  if (core && kind.resource === "nodes" && unschedulable !== undefined) {
    const run = () => void attempt(() => cordon(kind, meta, !unschedulable), unschedulable ? "uncordoned" : "cordoned");
    actions.push({ name: unschedulable ? "Uncordon" : "Cordon", key: "o", run });
  }
  if (can(kind, "delete")) actions.push({ name: "Delete", key: "Delete", run: () => ask("delete"), danger: true });
  return actions;
}

/** Run it and tell how it went; whether it went well. */
export async function attempt(run: () => Promise<unknown>, done: string): Promise<boolean> {
  try {
    await run();
    toast(done);
    return true;
  } catch (error) {
    toast(messageOf(error), true);
    return false;
  }
}

interface ConfirmProps {
  title: string;
  text: string;
  word: string;
  close: () => void;
  run: () => Promise<unknown>;
  done: string;
  after?: () => void;
}

export function Confirm({ title, text, word, close, run, done, after }: ConfirmProps) {
  const confirmed = async () => {
    close();
    if (await attempt(run, done)) after?.();
  };
  return (
    <Dialog title={title} close={close}>
      <p>{text}</p>
      <div class="buttons">
        <button type="button" onClick={close}>Cancel</button>
        <button type="button" class="danger" autofocus onClick={() => void confirmed()}>{word}</button>
      </div>
    </Dialog>
  );
}

function ScaleDialog({ kind, meta, close }: { kind: Kind; meta: Meta; close: () => void }) {
  const [count, setCount] = useState<number | null>(null);
  useEffect(() => {
    // What is typed meanwhile stays.
    get<KubeObject>(path(kind, meta, "scale")).then(
      (found) => setCount((typed) => typed ?? found.spec?.replicas ?? 0),
      (error: unknown) => (toast(messageOf(error), true), close()),
    );
  }, []);
  const submit = async (event: Event) => {
    event.preventDefault();
    close();
    await attempt(() => scale(kind, meta, count ?? 0), `${meta.name} scales to ${count}`);
  };
  return (
    <Dialog title={`Scale ${kind.kind} ${meta.name}`} close={close}>
      <form onSubmit={(event) => void submit(event)}>
        <label>
          Replicas <input type="number" min="0" max="10000" required autofocus value={count ?? ""} onInput={(event) => setCount(Number(event.currentTarget.value))} />
        </label>
        <div class="buttons">
          <button type="button" onClick={close}>Cancel</button>
          <button type="submit" class="primary" disabled={count === null}>Scale</button>
        </div>
      </form>
    </Dialog>
  );
}
