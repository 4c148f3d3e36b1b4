// The object as YAML. The server itself says what a change would do (dry run) before it is made.
import { useEffect, useState } from "preact/hooks";
import { path } from "../api/actions";
import { YAML, messageOf, send } from "../api/http";
import { can } from "../api/kinds";
import type { Kind } from "../api/kinds";
import type { Meta } from "../api/objects";
import { diff, hunks } from "../logic/diff";
import { withoutManagedFields } from "../logic/manifest";
import { useKeys } from "../parts/keys";
import { toast } from "../parts/toast";

export function YamlEditor({ kind, meta }: { kind: Kind; meta: Meta }) {
  const [original, setOriginal] = useState("");
  const [text, setText] = useState("");
  const [planned, setPlanned] = useState<string | null>(null);
  const [error, setError] = useState("");
  const target = path(kind, meta);
  const attempt = async (run: () => Promise<void>) => {
    setError("");
    await run().catch((failure: unknown) => setError(messageOf(failure)));
  };
  const load = () => attempt(async () => {
    const found = withoutManagedFields(await send("GET", target, { accept: YAML }));
    setOriginal(found);
    setText(found);
    setPlanned(null);
  });
  const put = async (query: string) => withoutManagedFields(await send("PUT", target + query, { body: text, type: YAML, accept: YAML }));
  const review = () => attempt(async () => setPlanned(await put("?dryRun=All&fieldValidation=Strict")));
  const apply = () => attempt(async () => {
    const now = await put("?fieldValidation=Strict");
    setOriginal(now);
    setText(now);
    setPlanned(null);
    toast(`${meta.name} is changed`);
  });
  useEffect(() => void load(), [target]);
  useKeys([{ key: "Ctrl+Enter", text: "review the changes", run: () => void review() }]);
  const changed = text !== original;
  return (
    <section class="yaml" aria-label="YAML">
      <div class="bar">
        <button type="button" class="primary" disabled={!changed || !can(kind, "update")} onClick={() => void review()}>Review changes</button>
        <button type="button" onClick={() => void load()}>Load again</button>
        {original && meta.resourceVersion !== versionIn(original) && <span role="status">The object has changed since it was loaded.</span>}
      </div>
      {error && <p class="error" role="alert">{error}</p>}
      {planned === null ? (
        <textarea
          aria-label={`YAML of ${meta.name}`}
          spellcheck={false}
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
          onKeyDown={(event) => (event.ctrlKey || event.metaKey) && event.key === "Enter" && void review()}
        />
      ) : (
        <DiffView before={original} after={planned} back={() => setPlanned(null)} apply={() => void apply()} />
      )}
    </section>
  );
}

function versionIn(yaml: string): string {
  return /^  resourceVersion: "?(\d+)"?/m.exec(yaml)?.[1] ?? "";
}

/** Fields that change with every write. */
const NOISE = /^  (resourceVersion|generation): /;

interface DiffProps {
  before: string;
  after: string;
  back: () => void;
  apply: () => void;
}

function DiffView({ before, after, back, apply }: DiffProps) {
  const quiet = (text: string) => text.split("\n").filter((line) => !NOISE.test(line)).join("\n");
  const lines = hunks(diff(quiet(before), quiet(after)));
  const changes = lines.filter((line) => line && line.sign !== " ").length;
  return (
    <div class="review">
      <p role="status">{changes ? "The server would make these changes:" : "The server says that this changes nothing."}</p>
      <pre class="diff" tabIndex={0} aria-label="Changes">
        {lines.map((line, at) => <span key={at} class={line === null ? "gap" : { "+": "added", "-": "removed", " ": "" }[line.sign]}>{line === null ? "⋯" : `${line.sign} ${line.text}`}{"\n"}</span>)}
      </pre>
      <div class="buttons">
        <button type="button" onClick={back}>Edit on</button>
        <button type="button" class="primary" disabled={!changes} autofocus onClick={apply}>Apply</button>
      </div>
    </div>
  );
}
