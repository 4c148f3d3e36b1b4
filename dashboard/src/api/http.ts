// Requests to the API server: by the same origin, with the rights of who runs the proxy.

/** What stands before `/api`: the pages come through the API server's Service proxy. */
export const ROOT = location.pathname.split("/api/v1/namespaces/")[0] ?? "";

export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly reason: string,
    message: string,
  ) {
    super(message);
  }
}

export interface Options {
  body?: string | object;
  type?: string;
  accept?: string;
  signal?: AbortSignal;
}

export const TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
export const YAML = "application/yaml";
export const JSON_PATCH = "application/json-patch+json";
export const MERGE = "application/merge-patch+json";
export const STRATEGIC = "application/strategic-merge-patch+json";

/** The answer's text. Throws ApiError with the server's own message. */
export async function send(method: string, path: string, options: Options = {}): Promise<string> {
  const headers: Record<string, string> = { Accept: options.accept ?? "application/json" };
  let body: string | undefined;
  if (options.body !== undefined) {
    body = typeof options.body === "string" ? options.body : JSON.stringify(options.body);
    headers["Content-Type"] = options.type ?? "application/json";
  }
  let answer: Response;
  try {
    answer = await fetch(ROOT + path, { method, headers, body, signal: options.signal });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new ApiError(0, "Unreachable", "The proxy does not answer. Does `tiphys dashboard` still run?");
  }
  const text = await answer.text();
  if (!answer.ok) throw errorOf(answer.status, text);
  return text;
}

export async function get<T>(path: string, options: Options = {}): Promise<T> {
  return JSON.parse(await send("GET", path, options)) as T;
}

export function errorOf(status: number, text: string): ApiError {
  try {
    const said = JSON.parse(text) as { message?: string; reason?: string };
    return new ApiError(status, said.reason ?? "", said.message ?? text);
  } catch {
    return new ApiError(status, "", text.trim() || `HTTP status ${status}`);
  }
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
