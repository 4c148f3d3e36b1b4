// Earlier templates of a workload, and the way back to them.
import { useEffect, useState } from "preact/hooks";
import { revisions, rollBack } from "../api/actions";
import type { Revision } from "../api/actions";
import { messageOf } from "../api/http";
import type { Kind } from "../api/kinds";
import type { KubeObject } from "../api/objects";
import { useKinds } from "../context";
import { ageOf } from "../logic/age";
import { Confirm } from "../parts/object_actions";

export function Revisions({ kind, object }: { kind: Kind; object: KubeObject }) {
  const kinds = useKinds();
  const [found, setFound] = useState<Revision[]>([]);
  const [error, setError] = useState("");
  const [asked, setAsked] = useState<Revision | null>(null);
  useEffect(() => {
    revisions(kinds, object).then((list) => (setFound(list), setError("")), (failure: unknown) => setError(messageOf(failure)));
  }, [object.metadata.resourceVersion]);
  return (
    <section aria-label="Revisions">
      {error && <p class="error" role="alert">{error}</p>}
      <table>
        <thead><tr><th>Revision</th><th>Images</th><th>Age</th><th><span class="hidden">Action</span></th></tr></thead>
        <tbody>
          {found.map((one) => (
            <tr key={one.number}>
              <td>{one.number}</td>
              <td class="message">{one.images.join(", ")}</td>
              <td>{ageOf(one.created)}</td>
              <td>{one.current ? "current" : <button type="button" onClick={() => setAsked(one)}>Roll back to {one.number}</button>}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {asked && (
        <Confirm title={`Roll back ${object.metadata.name} to revision ${asked.number}?`} text={`Images: ${asked.images.join(", ")}`} word="Roll back" close={() => setAsked(null)} run={() => rollBack(kind, object.metadata, asked)} done={`${object.metadata.name} rolls back`} />
      )}
    </section>
  );
}
