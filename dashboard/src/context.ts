// What every view knows: the kinds of the server.
import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { Kind } from "./api/kinds";

export const Kinds = createContext<Kind[]>([]);

export function useKinds(): Kind[] {
  return useContext(Kinds);
}
