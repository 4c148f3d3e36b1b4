// The time, told every few seconds: ages on the screen grow.
import { useEffect, useState } from "preact/hooks";

const STEP_MILLISECONDS = 5000;

export function useNow(): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), STEP_MILLISECONDS);
    return () => clearInterval(timer);
  }, []);
  return now;
}
