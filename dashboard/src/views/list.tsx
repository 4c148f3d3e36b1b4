// Every object of a kind, in the columns that the server gives.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { ROWS, useLive } from "../api/live";
import type { Row } from "../api/live";
import { can, pathOf } from "../api/kinds";
import type { Kind } from "../api/kinds";
import { cellText, filterRows, isAge, shownColumns, sortRows, tone, widths } from "../logic/table";
import type { Sorting } from "../logic/table";
import { ActionButtons } from "../parts/object_actions";
import { Grid } from "../parts/grid";
import { useKeys } from "../parts/keys";
import { useNow } from "../parts/now";
import { go, linkTo, objectLink } from "../router";

interface Props {
  kind: Kind;
  namespace: string;
  /** Of label selectors; shown in the list's place on another page when it is given. */
  query?: string;
  embedded?: boolean;
}

export function List({ kind, namespace, query = "", embedded = false }: Props) {
  const list = useLive(pathOf(kind, namespace) + (query ? `?${query}` : ""), ROWS);
  const [filter, setFilter] = useState("");
  const [wide, setWide] = useState(false);
  const [sorting, setSorting] = useState<Sorting>({ column: -1, down: false });
  const [selected, setSelected] = useState("");
  const field = useRef<HTMLInputElement>(null);
  const now = useNow();
  useEffect(() => setFilter(""), [kind, namespace]);

  const columns = list?.columns ?? [];
  const rows = useMemo(() => {
    const all = [...(list?.items.values() ?? [])];
    return sortRows(filterRows(all, filter), columns, sorting);
  }, [list, list?.version, filter, sorting]);
  const shown = useMemo(() => shownColumns(columns, wide), [columns, wide]);
  const sized = useMemo(() => widths(rows, columns, shown), [columns, shown, rows.length > 0]);
  const spaced = kind.namespaced && !namespace;
  const current = rows.find((row) => row.metadata.uid === selected) ?? rows[0];

  const sort = (at: number) => {
    const column = spaced && at === 0 ? -1 : shown[spaced ? at - 1 : at]!;
    setSorting((old) => ({ column, down: old.column === column && !old.down }));
  };
  const sortedAt = sorting.column === -1 ? (spaced ? 0 : -1) : shown.indexOf(sorting.column) + (spaced ? 1 : 0);
  useKeys([
    { key: "/", text: "filter the list", run: () => field.current?.focus() },
    { key: "w", text: "more or fewer columns", run: () => setWide(!wide) },
    ...(can(kind, "create") && !embedded ? [{ key: "c", text: "create an object", run: () => go(linkTo("create")) }] : []),
  ]);
  const draw = (index: number) => {
    const row = rows[index]!;
    const cells = shown.map((at) => {
      const text = cellText(row, columns, at, now);
      const look = isAge(columns[at]) || columns[at]!.name === "Name" ? "" : tone(text);
      return <span title={text} class={look}>{text}</span>;
    });
    if (spaced) cells.unshift(<span>{row.metadata.namespace}</span>);
    return { key: row.metadata.uid, label: row.metadata.name, cells };
  };
  const open = (row: Row) => go(objectLink(kind, row.metadata));
  const total = list?.items.size ?? 0;

  return (
    <section class={embedded ? "list embedded" : "list"} aria-label={`${kind.kind} list`}>
      <div class="bar">
        {embedded ? <h2>{kind.kind} objects</h2> : <h1>{kind.resource}</h1>}
        <span class="count" role="status" data-complete={list?.complete ? "yes" : "no"}>
          {filter ? `${rows.length} of ${total}` : total}
          {list?.complete === false ? " …" : ""}
        </span>
        <input
          ref={field}
          type="search"
          placeholder="Filter: words, !not, label=value  ( / )"
          aria-label="Filter the list"
          value={filter}
          onInput={(event) => setFilter(event.currentTarget.value)}
          onKeyDown={(event) => event.key === "Enter" && event.currentTarget.blur()}
        />
        <label class="check">
          <input type="checkbox" checked={wide} onChange={() => setWide(!wide)} /> wide
        </label>
        {current && <ActionButtons kind={kind} meta={current.metadata} compact />}
      </div>
      {list?.error && <p class="error" role="alert">{list.error}</p>}
      {list?.started && !total && !list.error && <p class="empty">No {kind.resource} here.</p>}
      {list?.started && total > 0 && (
        <Grid
          label={kind.resource}
          columns={[...(spaced ? [{ name: "Namespace", width: 16 }] : []), ...shown.map((at, index) => ({ name: columns[at]!.name, title: columns[at]!.description, width: sized[index]! }))]}
          count={rows.length}
          row={draw}
          open={(index) => open(rows[index]!)}
          onSelect={(index) => setSelected(rows[index]?.metadata.uid ?? "")}
          sorted={{ column: sortedAt, down: sorting.down }}
          sort={sort}
        />
      )}
    </section>
  );
}
