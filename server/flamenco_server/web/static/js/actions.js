// What a person can do: cancel, approve, sign out, copy. Every answer of the Server shows where the button was.

import { get, post } from "./api.js";
import { byId, fieldOf, setText } from "./dom.js";
import { announce, showProblem } from "./notices.js";
import { counted } from "./words.js";

const ACTIONS = { cancel, approve };
const COPIED_MS = 1500;

export function startActions() {
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button?.dataset.action) ACTIONS[button.dataset.action](button);
    if (button?.dataset.copy) copy(button);
  });
  byId("sign-out")?.addEventListener("click", signOut);
}

async function cancel(button) {
  const id = button.closest("[data-id]")?.dataset.id ?? document.body.dataset.job;
  await acting(button, async () => {
    const job = await get(`/api/v1/jobs/${id}`);
    const agreed = await confirmed(`Cancel ${job.name}?`, whatCancelDoes(job), "Cancel job", "Keep it");
    if (!agreed) return;
    await post(`/api/v1/jobs/${id}/cancel`);
    announce(`${job.name}: canceling`);
  });
}

function whatCancelDoes(job) {
  const { active = 0, queued = 0, "soft-failed": retrying = 0 } = job.task_counts;
  const running = active
    ? `${counted(active, "running task")} will be stopped, and what ${active === 1 ? "it has" : "they have"} not saved is lost. `
    : "Nothing of it is running now. ";
  const waiting = queued + retrying ? `${counted(queued + retrying, "waiting task")} will not run. ` : "";
  const kept = job.frames_done ? `${counted(job.frames_done, "frame")} already done ${job.frames_done === 1 ? "stays" : "stay"}.` : "";
  return running + waiting + kept;
}

async function approve(button) {
  const row = button.closest("[data-id]");
  await acting(button, async () => {
    await post(`/api/v1/workers/${row.dataset.id}/approve`);
    announce(`${fieldOf(row, "name").textContent}: approved`);
  });
}

async function signOut() {
  try {
    await post("/api/v1/sign-out");
    location.assign("/");
  } catch (problem) {
    showProblem("sign-out", problem, signOut);
  }
}

// Runs what a button does: the button is off meanwhile, and a problem is told with a way to try again.
async function acting(button, act) {
  button.disabled = true;
  try {
    await act();
  } catch (problem) {
    showProblem(button.dataset.action, problem, () => acting(button, act));
  } finally {
    button.disabled = false;
  }
}

// Asks; the safe answer has the focus, which returns to where it was.
function confirmed(title, text, yes, no) {
  const dialog = byId("confirm");
  setText(byId("confirm-title"), title);
  setText(byId("confirm-text"), text);
  setText(byId("confirm-yes"), yes);
  setText(byId("confirm-no"), no);
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

// The clipboard is offered to pages on localhost and HTTPS only; elsewhere the text is selected, ready for Ctrl+C.
async function copy(button) {
  const done = await navigator.clipboard?.writeText(button.dataset.copy).then(() => true, () => false);
  if (!done) getSelection().selectAllChildren(button.previousElementSibling);
  const word = button.textContent;
  setText(button, done ? "Copied" : "Press Ctrl+C");
  setTimeout(() => setText(button, word), COPIED_MS);
}
