// The log of a task, as text; it grows while the task runs.

import { call } from "./api.js";
import { byId, made, setText } from "./dom.js";
import { dismissProblem, showProblem } from "./notices.js";
import { paintState } from "./paint.js";
import { look } from "./words.js";

const FOLLOW_MS = 2000;
const MOST_LINES = 5000;
const BLANK_LOG = "Nothing was logged yet.";
const MARKS = [
  [/\b(error|traceback|exception|failed|cannot)\b/i, "trouble"],
  [/\bwarn(ing)?\b/i, "warning"],
  [/^(render \| )?Saved:/, "saved"],
];

export function startLog() {
  const log = byId("log");
  if (!log) return { take() {} };
  let shown = null;

  async function load() {
    try {
      const response = await call("GET", log.dataset.url);
      const text = await response.text();
      dismissProblem("log");
      if (text !== shown) paintLog(log, text);
      shown = text;
      const complete = response.headers.get("Flamenco-Log-Complete") === "true";
      if (!complete) setTimeout(load, FOLLOW_MS);
      byId("log-state").textContent = stateOf(text, complete);
    } catch (problem) {
      showProblem("log", problem, load);
    }
  }

  load();
  return {
    take(task) {
      if (task.id === log.dataset.task) paintState(document.querySelector(".log-head"), look(task.status), "");
    },
  };
}

function stateOf(text, complete) {
  const lines = text ? text.split("\n").length : 0;
  const cut = lines > MOST_LINES ? `The last ${MOST_LINES} of ${lines} lines; Download has them all. ` : "";
  return cut + (complete ? "The log is complete." : "More may come while the task runs.");
}

function paintLog(log, text) {
  const follows = byId("follow").checked;
  if (text) log.replaceChildren(...text.split("\n").slice(-MOST_LINES).flatMap((line) => [marked(line), "\n"]));
  else setText(log, BLANK_LOG);
  if (follows) log.scrollTop = log.scrollHeight;
}

function marked(line) {
  const mark = MARKS.find(([pattern]) => pattern.test(line));
  return mark ? made("span", line, mark[1]) : line;
}
