// Create objects: from a form for the usual case, from YAML for all.
import { useState } from "preact/hooks";
import { create } from "../api/actions";
import { messageOf } from "../api/http";
import { useKinds } from "../context";
import { deploymentYaml } from "../logic/templates";
import { toast } from "../parts/toast";
import { go, linkTo } from "../router";

export function Create({ namespace }: { namespace: string }) {
  const kinds = useKinds();
  const [text, setText] = useState("");
  const [error, setError] = useState("");
  const [note, setNote] = useState("");
  const run = async (dryRun: boolean) => {
    setError("");
    setNote("");
    try {
      const made = (await create(kinds, text, namespace, dryRun)).join(", ");
      if (dryRun) return setNote(`The server would create: ${made}`);
      toast(`created: ${made}`);
      go(linkTo("overview"));
    } catch (failure) {
      setError(messageOf(failure));
    }
  };
  return (
    <div class="create">
      <h1>Create in {namespace || "default"}</h1>
      <DeploymentForm use={setText} />
      <section class="yaml" aria-labelledby="manifest">
        <h2 id="manifest">YAML or JSON</h2>
        <textarea aria-label="Manifest" spellcheck={false} placeholder="apiVersion: …  Several documents: --- between them." value={text} onInput={(event) => setText(event.currentTarget.value)} onKeyDown={(event) => event.ctrlKey && event.key === "Enter" && void run(false)} />
        {error && <p class="error" role="alert">{error}</p>}
        {note && <p class="good" role="status">{note}</p>}
        <div class="buttons">
          <button type="button" disabled={!text.trim()} onClick={() => void run(true)}>Check (dry run)</button>
          <button type="button" class="primary" disabled={!text.trim()} onClick={() => void run(false)}>Create <kbd aria-hidden="true">Ctrl+Enter</kbd></button>
        </div>
      </section>
    </div>
  );
}

function DeploymentForm({ use }: { use: (text: string) => void }) {
  const [name, setName] = useState("");
  const [image, setImage] = useState("");
  const [replicas, setReplicas] = useState(1);
  const [port, setPort] = useState("");
  const fill = (event: Event) => {
    event.preventDefault();
    use(deploymentYaml({ name, image, replicas, port: Number(port) || 0 }));
  };
  return (
    <form class="form" aria-label="Deployment" onSubmit={fill}>
      <label>Name <input type="text" required pattern="[a-z0-9]([a-z0-9\-]*[a-z0-9])?" value={name} onInput={(event) => setName(event.currentTarget.value)} /></label>
      <label>Image <input type="text" required value={image} onInput={(event) => setImage(event.currentTarget.value)} /></label>
      <label>Replicas <input type="number" min="0" value={replicas} onInput={(event) => setReplicas(Number(event.currentTarget.value))} /></label>
      <label>Port <input type="number" min="1" max="65535" placeholder="none" value={port} onInput={(event) => setPort(event.currentTarget.value)} /></label>
      <button type="submit">Write YAML of a Deployment</button>
    </form>
  );
}
