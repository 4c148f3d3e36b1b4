// A view whose code is fetched when it is first shown.
import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { messageOf } from "../api/http";

export function lazyView<P extends object>(load: () => Promise<ComponentType<P>>) {
  return function Lazy(props: P) {
    const [found, setFound] = useState<{ View?: ComponentType<P>; error?: string }>({});
    useEffect(() => {
      load().then((View) => setFound({ View }), (error: unknown) => setFound({ error: messageOf(error) }));
    }, []);
    if (found.error) return <p class="error" role="alert">{found.error}</p>;
    return found.View ? <found.View {...props} /> : <p class="empty" role="status">Loading …</p>;
  };
}
