// Calls of the public API. An answer of 400 or more becomes a Problem that says what, why, and what to do.

export class Problem extends Error {
  constructor(message, { status = 0, type = "unreachable", details = "" } = {}) {
    super(message);
    this.status = status;
    this.type = type;
    this.details = details || message;
  }
}

export async function get(path) {
  return (await call("GET", path)).json();
}

export async function post(path, body) {
  const response = await call("POST", path, body);
  return response.status === 204 ? null : response.json();
}

export async function call(method, path, body) {
  const headers = { Accept: "application/json", ...(body && { "Content-Type": "application/json" }) };
  let response;
  try {
    response = await fetch(path, { method, headers, body: body && JSON.stringify(body), cache: "no-store" });
  } catch {
    throw new Problem("The Server cannot be reached. Check that it runs, then try again.");
  }
  if (response.ok) return response;
  throw await problemOf(response, `${method} ${path}`);
}

async function problemOf(response, what) {
  const text = await response.text();
  let told = {};
  try {
    told = JSON.parse(text);
  } catch {
    told = { detail: `The answer was HTTP status ${response.status}.` };
  }
  return new Problem(told.detail ?? `The answer was HTTP status ${response.status}.`, {
    status: response.status,
    type: told.type ?? "",
    details: `${what}: ${response.status}\n${text}`,
  });
}
