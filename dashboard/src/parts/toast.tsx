// Short messages at the page's edge, read out by screen readers.
import { useEffect, useState } from "preact/hooks";

interface Toast {
  id: number;
  text: string;
  bad: boolean;
}

const SHOWN_MILLISECONDS = 6000;
let toasts: Toast[] = [];
let number = 0;
let tell = () => {};

export function toast(text: string, bad = false): void {
  const id = ++number;
  toasts = [...toasts.slice(-3), { id, text, bad }];
  tell();
  setTimeout(() => {
    toasts = toasts.filter((one) => one.id !== id);
    tell();
  }, SHOWN_MILLISECONDS);
}

export function Toasts() {
  const [, setCount] = useState(0);
  useEffect(() => {
    tell = () => setCount((count) => count + 1);
  }, []);
  return (
    <div class="toasts" role="status" aria-live="polite">
      {toasts.map((one) => (
        <div key={one.id} class={one.bad ? "toast bad" : "toast"}>
          {one.text}
        </div>
      ))}
    </div>
  );
}
