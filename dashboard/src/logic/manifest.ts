// Reads just enough of a YAML or JSON text to know where to send it; the server reads the rest.

export interface Head {
  apiVersion: string;
  kind: string;
  name: string;
  namespace: string;
}

/** The documents of a text that hold more than comments. */
export function documents(text: string): string[] {
  return text.split(/^---(?:[ \t].*)?$/m).filter((one) => one.replace(/^\s*#.*$/gm, "").trim());
}

/** Throws an Error that says what is missing. */
export function headOf(text: string): Head {
  const head = text.trimStart().startsWith("{") ? fromJson(text) : fromYaml(text);
  if (!head.apiVersion) throw new Error("apiVersion is missing");
  if (!head.kind) throw new Error("kind is missing");
  return head;
}

function fromJson(text: string): Head {
  const object = JSON.parse(text) as { apiVersion?: string; kind?: string; metadata?: { name?: string; namespace?: string } };
  return {
    apiVersion: object.apiVersion ?? "",
    kind: object.kind ?? "",
    name: object.metadata?.name ?? "",
    namespace: object.metadata?.namespace ?? "",
  };
}

function fromYaml(text: string): Head {
  const lines = text.split("\n");
  const at = lines.findIndex((line) => /^metadata:\s*(#.*)?$/.test(line));
  const rest = at < 0 ? [] : lines.slice(at + 1);
  const end = rest.findIndex((line) => /^[^\s#]/.test(line));
  const metadata = end < 0 ? rest : rest.slice(0, end);
  const indent = /^\s*/.exec(metadata.find((line) => line.trim() && !line.trim().startsWith("#")) ?? "")![0];
  return {
    apiVersion: scalar(lines, "apiVersion"),
    kind: scalar(lines, "kind"),
    name: scalar(metadata, `${indent}name`),
    namespace: scalar(metadata, `${indent}namespace`),
  };
}

function scalar(lines: string[], key: string): string {
  const line = lines.find((one) => one.startsWith(`${key}:`)) ?? "";
  const value = line.slice(key.length + 1).trim();
  const quoted = /^"([^"]*)"|^'([^']*)'/.exec(value);
  return quoted ? (quoted[1] ?? quoted[2] ?? "") : value.replace(/\s+#.*$/, "");
}

/** Without the bookkeeping of field managers, which nobody edits. */
export function withoutManagedFields(yaml: string): string {
  return yaml.replace(/^  managedFields:\n(?:  [- ].*\n)*/m, "");
}
