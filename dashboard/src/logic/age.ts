// Ages as kubectl prints them. Upstream: apimachinery util/duration HumanDuration.

export function ageOf(since: string | undefined, now = Date.now()): string {
  if (!since) return "";
  return duration((now - Date.parse(since)) / 1000);
}

export function duration(seconds: number): string {
  const s = Math.max(0, Math.floor(seconds));
  const m = Math.floor(s / 60);
  const h = Math.floor(m / 60);
  const d = Math.floor(h / 24);
  if (s < 120) return `${s}s`;
  if (m < 10) return join(m, "m", s % 60, "s");
  if (m < 180) return `${m}m`;
  if (h < 8) return join(h, "h", m % 60, "m");
  if (h < 48) return `${h}h`;
  if (d < 8) return join(d, "d", h % 24, "h");
  if (d < 730) return `${d}d`;
  return join(Math.floor(d / 365), "y", d % 365, "d");
}

function join(large: number, unit: string, small: number, smallUnit: string): string {
  return small ? `${large}${unit}${small}${smallUnit}` : `${large}${unit}`;
}
