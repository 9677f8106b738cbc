// The Tasks tab.

import { get } from "./api.js";
import { byId, cloned, fieldOf, setAttribute, setField, setHidden } from "./dom.js";
import { painter, paintState, paintTime } from "./paint.js";
import { look, taskActivity, took } from "./words.js";

const CLOCK_MS = 1000;
const ROWS = 100;
const IDLE = { take() {}, async refresh() {} };

export function startTasks(jobId) {
  if (document.body.dataset.tab !== "tasks") return IDLE;
  const body = byId("rows");
  const running = new Map();
  const after = new URLSearchParams(location.search).get("after");
  const rowOf = (id) => body.querySelector(`[data-id="${CSS.escape(id)}"]`);

  const paint = painter((tasks) => tasks.forEach((task) => {
    const row = rowOf(task.id) ?? (belongsHere(body, task) ? appended(body, task, jobId) : null);
    if (!row) return;
    paintTask(row, task);
    if (task.status === "active") running.set(task.id, task);
    else running.delete(task.id);
  }));
  setInterval(() => running.forEach((task, id) => setField(rowOf(id), "took", took(task, Date.now()))), CLOCK_MS);
  const take = (task) => paint(task.id, task);
  return {
    take,
    async refresh() {
      const query = new URLSearchParams({ limit: ROWS, ...(after && { after }) });
      (await get(`/api/v1/jobs/${jobId}/tasks?${query}`)).tasks.forEach(take);
    },
  };
}

// A job that is being prepared gets its tasks while somebody looks: they follow one another on the first page.
function belongsHere(body, task) {
  return body.dataset.complete === "true" && body.children.length < ROWS && task.index === body.children.length;
}

function appended(body, task, jobId) {
  const row = cloned("task-row");
  row.dataset.id = task.id;
  setAttribute(fieldOf(row, "name"), "href", `/jobs/${jobId}/log?task=${task.id}`);
  body.append(row);
  setHidden(byId("no-tasks"), true);
  return row;
}

function paintTask(row, task) {
  row.dataset.status = task.status;
  paintState(row, look(task.status), "");
  setField(row, "number", String(task.index + 1));
  setField(row, "name", task.name);
  setField(row, "frames", task.frames ?? "");
  setField(row, "worker", task.worker?.name ?? "");
  setField(row, "tries", task.attempt ? String(task.attempt) : "");
  paintTime(row, "started", task.started_at);
  setField(row, "took", took(task, Date.now()));
  setField(row, "activity", taskActivity(task));
}
