// The event stream. It is held only while the page is looked at: browsers allow a Server six connections, over all tabs.

import { get } from "./api.js";
import { showOffline, showOnline } from "./notices.js";

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 10_000;
const PATIENCE_MS = 1500; // a Server that restarts is back before anybody needs to know
const KINDS = ["job", "task", "frame", "worker", "manager", "gone"];

// Calls takers[kind](object) for each change, and refresh() whenever changes may have been missed.
// refresh rejects if the view cannot be read again; then the connection counts as lost.
export function live(path, takers, refresh) {
  let source = null;
  let retry = null;
  let lostAt = null;
  let pause = FIRST_PAUSE_MS;

  async function caughtUp(opened) {
    try {
      await refresh();
    } catch (problem) {
      if (opened === source) lost(problem);
      return;
    }
    if (opened !== source) return;
    lostAt = null;
    pause = FIRST_PAUSE_MS;
    showOnline();
  }

  function open() {
    close();
    const opened = new EventSource(path);
    source = opened;
    opened.addEventListener("open", () => caughtUp(opened));
    opened.addEventListener("resync", () => caughtUp(opened));
    opened.addEventListener("error", () => lost());
    for (const kind of KINDS.filter((kind) => takers[kind])) {
      opened.addEventListener(kind, (event) => takers[kind](JSON.parse(event.data)));
    }
  }

  function close() {
    clearTimeout(retry);
    source?.close();
    source = null;
  }

  function lost(problem) {
    close();
    lostAt ??= Date.now();
    retry = setTimeout(open, pause);
    pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
    setTimeout(() => { if (lostAt !== null) showOffline(lostAt); }, Math.max(0, lostAt + PATIENCE_MS - Date.now()));
    leaveIfSignedOut(problem);
  }

  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  addEventListener("pagehide", close);
  addEventListener("pageshow", (event) => { if (event.persisted) open(); });
  if (!document.hidden) open();
}

// A session that has ended shows the sign-in page; any other trouble is the connection's, and is told by the banner.
async function leaveIfSignedOut(problem) {
  const told = problem ?? (await get("/api/v1/me").then(() => null, (error) => error));
  if (told?.status === 401) location.reload();
}
