// Go anywhere by typing: kinds by name or short name, and the other pages.
import { useState } from "preact/hooks";
import { can } from "../api/kinds";
import type { Kind } from "../api/kinds";
import { go, linkTo, listLink } from "../router";
import { Dialog } from "./dialog";

interface Entry {
  text: string;
  detail: string;
  words: string[];
  link: string;
}

const SHOWN_MAX = 12;

export function Palette({ kinds, close }: { kinds: Kind[]; close: () => void }) {
  const [text, setText] = useState("");
  const [chosen, setChosen] = useState(0);
  const found = matching(entries(kinds), text);
  const run = (entry: Entry | undefined) => {
    if (!entry) return;
    close();
    go(entry.link);
  };
  const key = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) setChosen((old) => Math.max(0, Math.min(found.length - 1, old + step)));
    else if (event.key === "Enter") run(found[chosen]);
    else return;
    event.preventDefault();
  };
  return (
    <Dialog title="Go to" close={close}>
      <input
        type="text"
        role="combobox"
        aria-label="Kind or page"
        aria-expanded="true"
        aria-controls="palette-list"
        aria-activedescendant={found.length ? `palette-${chosen}` : undefined}
        autofocus
        value={text}
        onInput={(event) => (setText(event.currentTarget.value), setChosen(0))}
        onKeyDown={key}
      />
      <ul id="palette-list" class="palette" role="listbox" aria-label="Kinds and pages">
        {found.map((entry, at) => (
          <li key={entry.link} id={`palette-${at}`} role="option" aria-selected={at === chosen} onClick={() => run(entry)}>
            {entry.text} <small>{entry.detail}</small>
          </li>
        ))}
      </ul>
    </Dialog>
  );
}

function entries(kinds: Kind[]): Entry[] {
  const pages = ["overview", "images", "create"].map((view) => ({ text: view, detail: "page", words: [view], link: linkTo(view) }));
  const lists = kinds.filter((kind) => can(kind, "list")).map((kind) => ({
    text: kind.resource,
    detail: [...kind.shortNames, kind.group].filter(Boolean).join(" · "),
    words: [...kind.shortNames, kind.resource, kind.kind.toLowerCase()],
    link: listLink(kind),
  }));
  return [...pages, ...lists];
}

/** Whole words first, then beginnings, then what only holds the text. */
function matching(all: Entry[], typed: string): Entry[] {
  const text = typed.trim().toLowerCase();
  const rank = (entry: Entry) => {
    if (entry.words.includes(text)) return 0;
    if (entry.words.some((word) => word.startsWith(text))) return 1;
    return entry.words.some((word) => word.includes(text)) ? 2 : 3;
  };
  return all.map((entry) => ({ entry, rank: rank(entry) })).filter((one) => one.rank < 3).sort((a, b) => a.rank - b.rank).slice(0, SHOWN_MAX).map((one) => one.entry);
}
