// A table of any number of rows: sorted by its head, walked by keys, drawn as far as it is seen.
import type { ComponentChildren } from "preact";
import { useRef, useState } from "preact/hooks";
import { useKeys } from "./keys";
import { VirtualRows } from "./virtual_rows";

export interface GridColumn {
  name: string;
  title?: string;
  /** Width in characters. */
  width: number;
}

export interface GridRow {
  key: string;
  label: string;
  cells: ComponentChildren[];
}

interface Props {
  label: string;
  columns: GridColumn[];
  count: number;
  row: (index: number) => GridRow;
  open: (index: number) => void;
  sorted?: { column: number; down: boolean };
  sort?: (column: number) => void;
  onSelect?: (index: number) => void;
}

const ROW_HEIGHT = 30;

export function Grid({ label, columns, count, row, open, sorted, sort, onSelect }: Props) {
  const scroller = useRef<HTMLDivElement>(null);
  const [chosen, setChosen] = useState(0);
  const selected = Math.min(chosen, Math.max(0, count - 1));
  const select = (index: number) => {
    const next = Math.max(0, Math.min(count - 1, index));
    setChosen(next);
    onSelect?.(next);
    const element = scroller.current;
    if (!element) return;
    const top = next * ROW_HEIGHT;
    const room = element.clientHeight - ROW_HEIGHT;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top > element.scrollTop + room - ROW_HEIGHT) element.scrollTop = top - room + ROW_HEIGHT;
  };
  const page = () => Math.max(1, Math.floor((scroller.current?.clientHeight ?? 300) / ROW_HEIGHT) - 2);
  const move = (key: string, text: string, step: () => number) => ({ key, text, run: () => select(step()) });
  useKeys([
    move("ArrowDown", "next row", () => selected + 1),
    move("ArrowUp", "row before", () => selected - 1),
    move("j", "next row", () => selected + 1),
    move("k", "row before", () => selected - 1),
    move("PageDown", "a page down", () => selected + page()),
    move("PageUp", "a page up", () => selected - page()),
    move("Home", "first row", () => 0),
    move("End", "last row", () => count - 1),
    { key: "Enter", text: "open the row", run: () => count && open(selected) },
  ]);
  const template = { gridTemplateColumns: columns.map((one) => `minmax(${Math.min(one.width, 9)}ch, ${one.width}fr)`).join(" ") };
  const draw = (index: number) => {
    const { key, cells, label: name } = row(index);
    return (
      <div
        key={key}
        id={`row-${index}`}
        class={index === selected ? "row selected" : "row"}
        role="row"
        aria-rowindex={index + 2}
        aria-selected={index === selected}
        aria-label={name}
        style={template}
        onClick={() => {
          select(index);
          open(index);
        }}
      >
        {cells.map((cell, at) => (
          <span key={at} role="gridcell">
            {cell}
          </span>
        ))}
      </div>
    );
  };
  return (
    <div
      class="grid"
      role="grid"
      aria-label={label}
      aria-rowcount={count + 1}
      tabIndex={0}
      aria-activedescendant={count ? `row-${selected}` : undefined}
      ref={scroller}
    >
      <div class="row head" role="row" aria-rowindex={1} style={template}>
        {columns.map((column, at) => (
          <span key={column.name} role="columnheader" title={column.title} aria-sort={sorted?.column === at ? (sorted.down ? "descending" : "ascending") : "none"}>
            {sort ? (
              <button type="button" onClick={() => sort(at)}>
                {column.name}
                {sorted?.column === at && <span aria-hidden="true">{sorted.down ? " ▼" : " ▲"}</span>}
              </button>
            ) : (
              column.name
            )}
          </span>
        ))}
      </div>
      <VirtualRows scroller={scroller} count={count} height={ROW_HEIGHT} row={draw} />
    </div>
  );
}
