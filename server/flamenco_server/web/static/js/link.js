// Linking a Manager: its code is looked up, what it is is shown, and a person links or refuses it.

import { get, post } from "./api.js";
import { byId, made, setField, setHidden, setText } from "./dom.js";
import { paintTime } from "./paint.js";

const REFRESH_MS = 5000;
let found = null;

export function startLink() {
  byId("ask-code").addEventListener("submit", lookUp);
  byId("decide").addEventListener("submit", link);
  byId("decide").addEventListener("change", paintChoice);
  byId("refuse").addEventListener("click", refuse);
  byId("another").addEventListener("click", () => location.reload());
  byId("code").focus(); // not by autofocus: the form was hidden until now
  listWaiting();
  setInterval(listWaiting, REFRESH_MS);
}

async function lookUp(event) {
  event.preventDefault();
  await attempt("code-problem", async () => {
    found = await post("/api/v1/link-requests/look-up", { code: byId("code").value });
    paintFound();
  }, () => setHidden(byId("decide"), true));
  if (!byId("decide").hidden) (byId("link-name").value ? byId("confirm-link") : byId("link-name")).focus();
}

function paintFound() {
  const form = byId("decide");
  setField(form, "name", found.name);
  setField(form, "address", found.address);
  setField(form, "software", [found.software, found.platform].filter(Boolean).join(", ") || "it does not say");
  setField(form, "key", found.key_fingerprint);
  paintTime(form, "asked", found.asked_at);
  paintTime(form, "expires", found.expires_at);
  const taken = found.taken_by;
  setHidden(byId("taken"), !taken);
  setHidden(byId("runs"), !taken || taken.away);
  setField(form, "taken-presence", taken && !taken.away ? "in touch just now" : taken?.last_seen ? "which is away" : "never seen");
  form.elements.how.value = taken ? (taken.away ? "relink" : "rename") : "rename";
  form.querySelector("[value=relink]").disabled = !(taken?.away ?? true);
  byId("link-name").value = taken ? "" : found.name;
  setHidden(byId("decide-problem"), true);
  setHidden(form, false);
  paintChoice();
}

function paintChoice() {
  const again = isRelink();
  setHidden(byId("name-field"), again);
  byId("link-name").required = !again;
}

function isRelink() {
  return Boolean(found?.taken_by) && byId("decide").elements.how.value === "relink";
}

async function link(event) {
  event.preventDefault();
  const decided = isRelink() ? { relink: found.taken_by.id } : { name: byId("link-name").value };
  await attempt("decide-problem", async () => {
    const manager = await post(`/api/v1/link-requests/${found.id}/confirm`, { code: byId("code").value, ...decided });
    paintOutcome(`${manager.name} is linked`, "It goes on by itself; in a moment it is in touch.");
  });
}

async function refuse() {
  await attempt("decide-problem", async () => {
    await post(`/api/v1/link-requests/${found.id}/refuse`);
    paintOutcome(`${found.name} is refused`, "It was told so, and stops.");
  });
}

function paintOutcome(title, more) {
  setHidden(byId("ask-code"), true);
  setHidden(byId("decide"), true);
  setField(byId("decided"), "outcome", title);
  setField(byId("decided"), "outcome-more", more);
  setHidden(byId("decided"), false);
  listWaiting();
}

// Does something that may be refused; the reason is told in place, and buttons are off meanwhile.
async function attempt(problemId, act, otherwise = () => {}) {
  const buttons = document.querySelectorAll("main button");
  for (const each of buttons) each.disabled = true;
  setHidden(byId(problemId), true);
  try {
    await act();
  } catch (problem) {
    setText(byId(problemId), problem.message);
    setHidden(byId(problemId), false);
    otherwise();
  } finally {
    for (const each of buttons) each.disabled = false;
  }
}

async function listWaiting() {
  let waiting = [];
  try {
    waiting = (await get("/api/v1/link-requests")).link_requests;
  } catch (problem) {
    if (problem.type !== "admins-only") return;
    setText(byId("code-problem"), problem.message);
    setHidden(byId("code-problem"), false);
    for (const each of byId("ask-code").elements) each.disabled = true;
  }
  const items = waiting.map((each) => made("li", `${each.name}, from ${each.address}`));
  byId("waiting").querySelector("ul").replaceChildren(...items);
  setHidden(byId("waiting"), !waiting.length);
}
