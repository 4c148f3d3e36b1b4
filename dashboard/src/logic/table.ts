// Rows of the server's Table: filtered and sorted. Pure.
import type { Row } from "../api/live";
import type { Column } from "../api/objects";
import { ageOf } from "./age";

export interface Sorting {
  column: number;
  down: boolean;
}

/** The columns to show, as indexes into the server's. */
export function shownColumns(columns: Column[], wide: boolean): number[] {
  return columns.map((_, at) => at).filter((at) => wide || columns[at]!.priority === 0);
}

/** Every word must stand in a cell, the namespace or a label; `!word` must not. */
export function filterRows(rows: Row[], text: string): Row[] {
  const words = text.toLowerCase().split(/\s+/).filter((one) => one && one !== "!");
  if (!words.length) return rows;
  return rows.filter((row) => {
    const labels = Object.entries(row.metadata.labels ?? {}).map(([key, value]) => `${key}=${value}`);
    const all = [row.metadata.namespace ?? "", ...row.cells, ...labels].join("\n").toLowerCase();
    return words.every((word) => (word.startsWith("!") ? !all.includes(word.slice(1)) : all.includes(word)));
  });
}

const collator = new Intl.Collator("en", { numeric: true });

/** column -1 is the namespace. Ages sort by the time, everything else as text with numbers. */
export function sortRows(rows: Row[], columns: Column[], { column, down }: Sorting): Row[] {
  const sign = down ? -1 : 1;
  const byName = (a: Row, b: Row) =>
    collator.compare(a.metadata.namespace ?? "", b.metadata.namespace ?? "") || collator.compare(a.metadata.name, b.metadata.name);
  if (column === -1) return [...rows].sort((a, b) => sign * byName(a, b));
  if (isAge(columns[column]))
    return [...rows].sort((a, b) => sign * (Date.parse(b.metadata.creationTimestamp) - Date.parse(a.metadata.creationTimestamp)) || byName(a, b));
  const keyed = rows.map((row) => ({ row, key: String(row.cells[column] ?? "") }));
  keyed.sort((a, b) => sign * collator.compare(a.key, b.key) || byName(a.row, b.row));
  return keyed.map((one) => one.row);
}

export function isAge(column: Column | undefined): boolean {
  return column?.name === "Age";
}

/** The text of a cell; ages grow without being told. */
export function cellText(row: Row, columns: Column[], at: number, now: number): string {
  if (isAge(columns[at])) return ageOf(row.metadata.creationTimestamp, now);
  const value: unknown = row.cells[at];
  return value === null || value === undefined ? "" : String(value);
}

const SAMPLE = 200;

/** Widths in characters from the first rows. */
export function widths(rows: Row[], columns: Column[], shown: number[]): number[] {
  return shown.map((at) => {
    const longest = rows.slice(0, SAMPLE).reduce((most, row) => Math.max(most, String(row.cells[at] ?? "").length), 0);
    return Math.max(5, Math.min(48, Math.max(longest, columns[at]!.name.length + 2)));
  });
}

const BAD = /error|fail|backoff|invalid|oom|evicted|unknown|notready|lost|crash/i;
const WAITING = /pending|creating|terminating|init:|unschedulable|schedulingdisabled|progress|false/i;

/** How a cell's word is coloured; the word itself says the same. */
export function tone(text: string): "bad" | "waiting" | "" {
  if (BAD.test(text)) return "bad";
  return WAITING.test(text) ? "waiting" : "";
}
