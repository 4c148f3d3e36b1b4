// Only the rows on the screen are in the page, whatever their number. All are equally high.
import type { ComponentChildren, Ref } from "preact";
import { useEffect, useLayoutEffect, useState } from "preact/hooks";

interface Props {
  scroller: { current: HTMLElement | null };
  count: number;
  height: number;
  row: (index: number) => ComponentChildren;
  inner?: Ref<HTMLDivElement>;
}

const OVERSCAN = 8;

export function VirtualRows({ scroller, count, height, row }: Props) {
  const [range, setRange] = useState({ first: 0, last: 60 });
  const measure = () => {
    const element = scroller.current;
    if (!element) return;
    const first = Math.max(0, Math.floor(element.scrollTop / height) - OVERSCAN);
    const last = Math.ceil((element.scrollTop + element.clientHeight) / height) + OVERSCAN;
    setRange((old) => (old.first === first && old.last === last ? old : { first, last }));
  };
  useLayoutEffect(measure, [count, height]);
  useEffect(() => {
    const element = scroller.current;
    if (!element) return;
    const sized = new ResizeObserver(measure);
    sized.observe(element);
    element.addEventListener("scroll", measure, { passive: true });
    return () => {
      sized.disconnect();
      element.removeEventListener("scroll", measure);
    };
  }, []);
  const rows = [];
  for (let index = range.first; index < Math.min(range.last, count); index++) rows.push(row(index));
  return (
    <div class="virtual" role="presentation" style={{ height: `${count * height}px` }}>
      <div class="virtual-window" role="presentation" style={{ transform: `translateY(${range.first * height}px)` }}>
        {rows}
      </div>
    </div>
  );
}
