// Keys without a modifier work everywhere but in fields; their list is the help's too.
import { useLayoutEffect } from "preact/hooks";

export interface Binding {
  key: string;
  text: string;
  run: () => void;
}

let bindings: Binding[][] = [];

/** The keys of a component while it is there; the last component wins. */
export function useKeys(own: Binding[]): void {
  useLayoutEffect(() => {
    bindings = [...bindings, own];
    return () => {
      bindings = bindings.filter((one) => one !== own);
    };
  });
}

export function activeBindings(): Binding[] {
  const seen = new Map<string, Binding>();
  for (const binding of bindings.flat()) seen.set(binding.key, binding);
  return [...seen.values()];
}

function isField(target: EventTarget | null): boolean {
  // The focus leaves a closed dialog a moment after it is closed.
  if (!(target instanceof HTMLElement) || target.closest("dialog:not([open])")) return false;
  return target.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName);
}

export function nameOf(event: KeyboardEvent): string {
  return (event.ctrlKey || event.metaKey ? "Ctrl+" : "") + event.key;
}

export function listenForKeys(): void {
  addEventListener("keydown", (event) => {
    if (event.altKey || event.defaultPrevented || document.querySelector("dialog[open]")) return;
    const name = nameOf(event);
    if (isField(event.target) && name !== "Ctrl+k") {
      if (event.key === "Escape" && !(event.target as HTMLElement).closest(".xterm")) (event.target as HTMLElement).blur();
      return;
    }
    const onControl = event.target instanceof HTMLElement && ["BUTTON", "A", "SUMMARY"].includes(event.target.tagName);
    if (onControl && event.key === "Enter") return;
    const found = bindings.flat().findLast((one) => one.key === name);
    if (!found) return;
    event.preventDefault();
    found.run();
  });
}
