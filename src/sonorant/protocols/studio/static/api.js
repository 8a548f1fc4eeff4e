// The server, as every client sees it. Errors keep the server's own words.

import { language, t } from "./language.js";

let key = "";

/** Send this API key from now on. */
export function useKey(value) {
  key = value;
}

/** An answer, or an error that carries what the server said. A missing key also sends `key-wanted`. */
export async function ask(path, options = {}) {
  const headers = new Headers(options.headers);
  headers.set("accept-language", language);
  if (key) headers.set("authorization", `Bearer ${key}`);
  let response;
  try {
    response = await fetch(new URL(path, document.baseURI), { ...options, headers });
  } catch (error) {
    throw error.name === "AbortError" ? error : new Error(t("error.unreachable"), { cause: error });
  }
  if (response.ok) return response;
  const message = await explained(response);
  if (response.status === 401) {
    document.dispatchEvent(new CustomEvent("key-wanted", { detail: message }));
  }
  throw new Error(message);
}

/** JSON of a GET. */
export async function get(path, options) {
  return (await ask(path, options)).json();
}

/** What an error response says. */
async function explained(response) {
  try {
    return (await response.json()).error.message;
  } catch {
    return t("error.status", response.status);
  }
}

/** POST a JSON body. */
export function post(path, body, signal) {
  const headers = { "content-type": "application/json" };
  return ask(path, { method: "POST", headers, body: JSON.stringify(body), signal });
}

/** The events of a server-sent stream, as they come. An error event is thrown. */
export async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await read(reader);
      if (done) return;
      const blocks = (rest + value).split("\n\n");
      rest = blocks.pop();
      for (const block of blocks) {
        const data = block.split("\n").filter((line) => line.startsWith("data:")).map((line) => line.slice(5));
        if (data.length === 0) continue;
        const event = JSON.parse(data.join("\n"));
        if (event.type === "error") throw new Error(event.error.message);
        yield event;
      }
    }
  } finally {
    reader.releaseLock();
  }
}

async function read(reader) {
  try {
    return await reader.read();
  } catch (error) {
    throw error.name === "AbortError" ? error : new Error(t("error.cut"), { cause: error });
  }
}
