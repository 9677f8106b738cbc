// What the page tells by itself: problems in place, the lost connection, summaries for screen readers.

import { byId, made, setHidden, setText } from "./dom.js";
import { clockTime } from "./words.js";

const ANNOUNCE_MS = 5000;
let lastAnnounced = 0;
let waiting = null;

// Shows a problem with what can be done about it. One per subject: a second one replaces the first.
export function showProblem(subject, problem, again) {
  dismissProblem(subject);
  const notice = made("div", "", "notice");
  notice.dataset.subject = subject;
  notice.setAttribute("role", "alert");
  notice.append(made("p", problem.message));
  if (again) notice.append(button("Try again", () => { notice.remove(); again(); }));
  notice.append(button("Copy details", () => navigator.clipboard?.writeText(problem.details ?? problem.message)));
  notice.append(button("Dismiss", () => notice.remove()));
  byId("notices").append(notice);
}

export function dismissProblem(subject) {
  document.querySelector(`.notice[data-subject="${subject}"]`)?.remove();
}

function button(text, act) {
  const element = made("button", text);
  element.type = "button";
  element.addEventListener("click", act);
  return element;
}

export function showOffline(since) {
  document.documentElement.dataset.offline = "";
  setText(byId("connection"), `No connection since ${clockTime(since, Date.now())}, trying again`);
  setHidden(byId("connection"), false);
  for (const element of document.querySelectorAll("main button[data-action]")) {
    element.disabled = true;
    element.title = "No connection to the Server";
  }
}

export function showOnline() {
  if (!("offline" in document.documentElement.dataset)) return;
  delete document.documentElement.dataset.offline;
  setHidden(byId("connection"), true);
  for (const element of document.querySelectorAll("main button[data-action]")) {
    element.disabled = false;
    element.removeAttribute("title");
  }
}

// Says something to screen readers, politely: the newest text only, every few seconds at most.
export function announce(text) {
  const wait = Math.max(0, lastAnnounced + ANNOUNCE_MS - Date.now());
  clearTimeout(waiting);
  waiting = setTimeout(() => {
    lastAnnounced = Date.now();
    setText(byId("announcer"), text);
  }, wait);
}
