// Line differences of two texts: longest common subsequence after cutting equal ends.

export interface Line {
  sign: " " | "-" | "+";
  text: string;
}

const CELLS_MAX = 4_000_000; // A table of 2,000 by 2,000 lines: 16 MB for a moment.

export function diff(before: string, after: string): Line[] {
  const a = before.split("\n");
  const b = after.split("\n");
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end++;
  const same = (text: string): Line => ({ sign: " ", text });
  return [
    ...a.slice(0, start).map(same),
    ...middle(a.slice(start, a.length - end), b.slice(start, b.length - end)),
    ...a.slice(a.length - end).map(same),
  ];
}

function middle(a: string[], b: string[]): Line[] {
  const removed = a.map((text): Line => ({ sign: "-", text }));
  const added = b.map((text): Line => ({ sign: "+", text }));
  if (!a.length || !b.length || a.length * b.length > CELLS_MAX) return [...removed, ...added];
  const width = b.length + 1;
  const common = new Uint32Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i--)
    for (let j = b.length - 1; j >= 0; j--)
      common[i * width + j] =
        a[i] === b[j]
          ? common[(i + 1) * width + j + 1]! + 1
          : Math.max(common[(i + 1) * width + j]!, common[i * width + j + 1]!);
  const lines: Line[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length && j < b.length) {
    if (a[i] === b[j]) {
      lines.push({ sign: " ", text: a[i]! });
      i++;
      j++;
    } else if (common[(i + 1) * width + j]! >= common[i * width + j + 1]!) lines.push(removed[i++]!);
    else lines.push(added[j++]!);
  }
  return [...lines, ...removed.slice(i), ...added.slice(j)];
}

/** Changed lines with `around` equal ones beside them; null stands for a gap. */
export function hunks(lines: Line[], around = 3): (Line | null)[] {
  const near = lines.map((_, at) => lines.slice(Math.max(0, at - around), at + around + 1).some((one) => one.sign !== " "));
  const shown: (Line | null)[] = [];
  near.forEach((keep, at) => {
    if (keep) shown.push(lines[at]!);
    else if (shown.at(-1) !== null) shown.push(null);
  });
  return shown;
}
