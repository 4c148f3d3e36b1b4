// A small chart of one value over time.

interface Props {
  title: string;
  values: number[];
  text: (value: number) => string;
  /** What 100 % is; without it the largest value. */
  top?: number;
}

const WIDTH = 320;
const HEIGHT = 72;

export function Chart({ title, values, text, top }: Props) {
  const now = values.at(-1);
  const highest = top || Math.max(...values, 1e-9) * 1.15;
  const step = WIDTH / Math.max(1, values.length - 1);
  const points = values.map((value, at) => `${(at * step).toFixed(1)},${(HEIGHT - (Math.min(value, highest) / highest) * HEIGHT).toFixed(1)}`);
  const shown = now === undefined ? "no value yet" : text(now) + (top ? ` of ${text(top)}` : "");
  return (
    <figure class="chart">
      <figcaption>
        {title} <strong>{shown}</strong>
      </figcaption>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={`${title}: ${shown}`}>
        {points.length > 0 && <polygon points={`0,${HEIGHT} ${points.join(" ")} ${((values.length - 1) * step).toFixed(1)},${HEIGHT}`} />}
        {points.length > 0 && <polyline points={points.join(" ")} />}
      </svg>
    </figure>
  );
}
