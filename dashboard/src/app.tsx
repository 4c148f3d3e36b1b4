// The frame around every view: navigation, namespace, keys.
import { useEffect, useRef, useState } from "preact/hooks";
import { messageOf } from "./api/http";
import { can, kindBy, loadKinds } from "./api/kinds";
import type { Kind } from "./api/kinds";
import { ROWS, useLive } from "./api/live";
import { Kinds } from "./context";
import { Help } from "./parts/help";
import { useKeys } from "./parts/keys";
import { Palette } from "./parts/palette";
import { toggleTheme } from "./parts/theme";
import { Toasts } from "./parts/toast";
import { current, go, linkTo, listLink, useRoute } from "./router";
import type { Route } from "./router";
import { Create } from "./views/create";
import { Images } from "./views/images";
import { List } from "./views/list";
import { ObjectView } from "./views/object";
import { Overview } from "./views/overview";

export function App() {
  const [kinds, setKinds] = useState<Kind[] | null>(null);
  const [error, setError] = useState("");
  const route = useRoute();
  const load = () => loadKinds().then((found) => (setKinds(found), setError("")), (failure: unknown) => setError(messageOf(failure)));
  useEffect(() => void load(), []);
  if (error)
    return (
      <main class="empty">
        <p role="alert">{error}</p>
        <button type="button" onClick={() => void load()}>Try again</button>
      </main>
    );
  if (!kinds) return <p class="empty" role="status">Loading …</p>;
  return (
    <Kinds.Provider value={kinds}>
      <Frame kinds={kinds} route={route} />
    </Kinds.Provider>
  );
}

function Frame({ kinds, route }: { kinds: Kind[]; route: Route }) {
  const [open, setOpen] = useState<"" | "palette" | "help">("");
  const [menu, setMenu] = useState(false);
  useKeys([
    { key: ":", text: "go to any kind or page", run: () => setOpen("palette") },
    { key: "Ctrl+k", text: "go to any kind or page", run: () => setOpen("palette") },
    { key: "?", text: "this help", run: () => setOpen("help") },
    { key: "t", text: "dark or light", run: toggleTheme },
    { key: "n", text: "choose the namespace", run: () => document.getElementById("namespace")?.focus() },
    { key: "0", text: "the overview", run: () => go(linkTo("overview")) },
    { key: "c", text: "create an object", run: () => go(linkTo("create")) },
    // The overview is where one comes in: back from it would leave the dashboard.
    { key: "Escape", text: "back", run: () => route.view !== "overview" && history.back() },
  ]);
  useEffect(() => {
    document.title = [route.parts.at(route.view === "object" ? 3 : -1) ?? route.view, "Tiphys"].join(" – ");
    setMenu(false);
  }, [route]);
  return (
    <div class="frame">
      <a class="skip" href="#main" onClick={(event) => (event.preventDefault(), document.getElementById("main")?.focus())}>Skip to the content</a>
      <header>
        <button type="button" class="menu" aria-label="Navigation" aria-expanded={menu} onClick={() => setMenu(!menu)}>☰</button>
        <a class="name" href={linkTo("overview")}>Tiphys</a>
        <NamespaceChoice kinds={kinds} route={route} />
        <span class="space" />
        <button type="button" onClick={() => setOpen("palette")}>Go to <kbd aria-hidden="true">:</kbd></button>
        <button type="button" onClick={() => go(linkTo("create"))}>Create <kbd aria-hidden="true">c</kbd></button>
        <button type="button" onClick={toggleTheme} aria-label="Dark or light">◐</button>
        <button type="button" onClick={() => setOpen("help")} aria-label="Keys">?</button>
      </header>
      <Navigation kinds={kinds} route={route} shown={menu} />
      <main id="main" tabIndex={-1}>
        <View kinds={kinds} route={route} />
      </main>
      <Toasts />
      {open === "palette" && <Palette kinds={kinds} close={() => setOpen("")} />}
      {open === "help" && <Help close={() => setOpen("")} />}
    </div>
  );
}

function View({ kinds, route }: { kinds: Kind[]; route: Route }) {
  const [group = "", resource = "", namespace = "", name = "", tab = "summary"] = route.parts;
  if (route.view === "overview") return <Overview key={route.namespace} namespace={route.namespace} />;
  if (route.view === "images") return <Images />;
  if (route.view === "create") return <Create namespace={route.namespace} />;
  const kind = kindBy(kinds, group === "core" ? "" : group, resource);
  if (!kind) return <p class="empty">The server has no such kind: {resource || route.view}.</p>;
  if (route.view === "list") return <List key={`${group}/${resource}/${route.namespace}`} kind={kind} namespace={kind.namespaced ? route.namespace : ""} />;
  const own = namespace === "-" ? "" : namespace;
  return <ObjectView key={`${group}/${resource}/${own}/${name}`} kind={kind} namespace={own} name={name} tab={tab} />;
}

function NamespaceChoice({ kinds, route }: { kinds: Kind[]; route: Route }) {
  const list = useLive(kindBy(kinds, "", "namespaces") ? "/api/v1/namespaces" : null, ROWS);
  const names = [...(list?.items.values() ?? [])].map((row) => row.metadata.name).sort();
  if (route.namespace && !names.includes(route.namespace)) names.unshift(route.namespace);
  const choose = (namespace: string) => {
    const { view, parts } = current();
    go(view === "object" ? linkTo("list", parts.slice(0, 2), namespace) : linkTo(view, parts, namespace));
  };
  // A name may be typed in the list; the page's keys work again after Enter or a click.
  const pointed = useRef(false);
  return (
    <label class="namespace">
      <span>Namespace</span>
      <select id="namespace" value={route.namespace} onPointerDown={() => (pointed.current = true)} onKeyDown={(event) => ((pointed.current = false), event.key === "Enter" && event.currentTarget.blur())} onChange={(event) => (choose(event.currentTarget.value), pointed.current && event.currentTarget.blur())}>
        <option value="">all</option>
        {names.map((name) => <option key={name} value={name}>{name}</option>)}
      </select>
    </label>
  );
}

const SECTIONS: [string, string[]][] = [
  ["Workloads", ["pods", "apps/deployments", "apps/statefulsets", "apps/daemonsets", "apps/replicasets", "batch/jobs", "batch/cronjobs", "autoscaling/horizontalpodautoscalers"]],
  ["Network", ["services", "discovery.k8s.io/endpointslices", "networking.k8s.io/ingresses", "networking.k8s.io/networkpolicies"]],
  ["Configuration", ["configmaps", "secrets", "serviceaccounts", "resourcequotas", "limitranges"]],
  ["Storage", ["persistentvolumeclaims", "persistentvolumes", "storage.k8s.io/storageclasses"]],
  ["Cluster", ["nodes", "namespaces", "events", "rbac.authorization.k8s.io/clusterroles", "rbac.authorization.k8s.io/roles", "rbac.authorization.k8s.io/rolebindings", "rbac.authorization.k8s.io/clusterrolebindings"]],
];

function Navigation({ kinds, route, shown }: { kinds: Kind[]; route: Route; shown: boolean }) {
  const listed = kinds.filter((kind) => can(kind, "list"));
  const named = new Set<Kind>();
  const sections = SECTIONS.map(([title, wanted]): [string, Kind[]] => {
    const found = wanted.map((one) => kindBy(listed, one.includes("/") ? one.split("/")[0]! : "", one.split("/").at(-1)!));
    const there = found.filter((kind) => kind !== undefined);
    there.forEach((kind) => named.add(kind));
    return [title, there];
  });
  const others = listed.filter((kind) => !named.has(kind)).sort((a, b) => a.resource.localeCompare(b.resource));
  const link = (href: string, text: string, active: boolean) => <li key={href}><a href={href} aria-current={active ? "page" : undefined}>{text}</a></li>;
  const item = (kind: Kind) => link(listLink(kind), kind.resource, route.parts[1] === kind.resource && route.parts[0] === (kind.group || "core"));
  return (
    <nav class={shown ? "shown" : ""} aria-label="Views">
      <ul>
        {link(linkTo("overview"), "Overview", route.view === "overview")}
        {link(linkTo("images"), "Images", route.view === "images")}
      </ul>
      {sections.map(([title, found]) => (
        <section key={title} aria-label={title}>
          <h2>{title}</h2>
          <ul>{found.map(item)}</ul>
        </section>
      ))}
      <details>
        <summary>All other kinds ({others.length})</summary>
        <ul>{others.map((kind) => link(listLink(kind), `${kind.resource}${kind.group ? ` · ${kind.group.split(".")[0]}` : ""}`, route.parts[1] === kind.resource && route.parts[0] === (kind.group || "core")))}</ul>
      </details>
    </nav>
  );
}
