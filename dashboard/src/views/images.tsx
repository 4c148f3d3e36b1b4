// Images of the embedded registry, and the layers that they share.
import { useEffect, useState } from "preact/hooks";
import { OBJECTS, useLive } from "../api/live";
import { ApiError, get, messageOf } from "../api/http";
import { bytesText } from "../logic/quantity";

interface Described {
  images: { name: string; digest: string; layers: string[] }[];
  layers: Record<string, { size: number; images: string[] }>;
}

export function Images() {
  const [found, setFound] = useState<Described | null>(null);
  const [error, setError] = useState("");
  const nodes = useLive("/api/v1/nodes", OBJECTS);
  useEffect(() => {
    get<Described>("/tiphys/v1/images").then(setFound, (failure: unknown) => {
      const other = failure instanceof ApiError && failure.status === 404;
      setError(other ? "Layers are shown where `tiphys dashboard` is the proxy." : messageOf(failure));
    });
  }, []);
  const onNodes = [...(nodes?.items.values() ?? [])].map((node) => ({ name: node.metadata.name, images: node.status?.images ?? [] }));
  return (
    <div class="overview">
      <h1>Images</h1>
      {error && <p class="error" role="alert">{error}</p>}
      {found && <Registry found={found} />}
      <section aria-labelledby="on-nodes">
        <h2 id="on-nodes">On nodes</h2>
        <table>
          <thead><tr><th>Node</th><th>Image</th><th>Size</th></tr></thead>
          <tbody>
            {onNodes.flatMap((node) => node.images.map((image: { names?: string[]; sizeBytes?: number }) => (
              <tr key={`${node.name} ${image.names?.[0]}`}>
                <td>{node.name}</td>
                <td class="message">{image.names?.join(", ")}</td>
                <td>{bytesText(image.sizeBytes ?? 0)}</td>
              </tr>
            )))}
          </tbody>
        </table>
      </section>
    </div>
  );
}

function Registry({ found }: { found: Described }) {
  const total = Object.values(found.layers).reduce((sum, layer) => sum + layer.size, 0);
  const apart = Object.values(found.layers).reduce((sum, layer) => sum + layer.size * layer.images.length, 0);
  return (
    <section aria-labelledby="registry">
      <h2 id="registry">In the registry</h2>
      <p>{found.images.length} images take {bytesText(total)}; without shared layers it would be {bytesText(apart)}.</p>
      <table>
        <thead><tr><th>Image</th><th>Layers</th><th>Size</th><th>Of that shared</th></tr></thead>
        <tbody>
          {found.images.map((image) => {
            const layers = image.layers.map((digest) => ({ digest, ...found.layers[digest]! }));
            const shared = layers.filter((layer) => layer.images.length > 1);
            const sum = (some: { size: number }[]) => some.reduce((all, one) => all + one.size, 0);
            return (
              <tr key={image.name}>
                <td class="message">{image.name}<br /><small>{image.digest.slice(7, 19)}</small></td>
                <td>
                  <ul class="layers">
                    {layers.map((layer) => (
                      <li key={layer.digest} class={layer.images.length > 1 ? "shared" : ""}>
                        <code>{layer.digest.slice(7, 19)}</code> {bytesText(layer.size)}
                        {layer.images.length > 1 && <small title={layer.images.join("\n")}> shared by {layer.images.length} images</small>}
                      </li>
                    ))}
                  </ul>
                </td>
                <td>{bytesText(sum(layers))}</td>
                <td>{bytesText(sum(shared))}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </section>
  );
}
