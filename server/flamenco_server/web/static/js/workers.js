// The list of Workers, and the sites that they are at.

import { get } from "./api.js";
import { byId, cloned, fieldOf, setAttribute, setField, setHidden, setText } from "./dom.js";
import { freshList } from "./list.js";
import { live } from "./live.js";
import { announce } from "./notices.js";
import { paintState, paintTime } from "./paint.js";
import { doing, machine, programs, requested, workerLook, workersSummary, workerState } from "./words.js";

export function startWorkers() {
  const list = freshList({
    paintRow,
    isNew: () => true,
    comesBefore: (worker, other) => worker.name < other.name,
    noun: "Worker",
    afterPaint: () => summarize([...list.things.values()]),
  });
  const gone = (thing) => { if (thing.gone === "worker") list.drop(thing.id); };
  live("/api/v1/events", { worker: list.take, manager: paintManager, gone }, async () => {
    const [{ workers }, { managers }] = await Promise.all([get("/api/v1/workers"), get("/api/v1/managers")]);
    workers.forEach(list.take);
    managers.forEach(paintManager);
  });
}

function summarize(workers) {
  const text = workersSummary(workers);
  if (byId("summary").textContent !== text) announce(`Workers: ${text}`);
  setText(byId("summary"), text);
}

function paintRow(row, worker) {
  row.dataset.status = workerState(worker);
  paintState(row, workerLook(worker), requested(worker));
  setField(row, "name", worker.name);
  fieldOf(row, "name").title = [worker.software, worker.platform, worker.address].join(", ");
  setField(row, "site", worker.manager.name);
  setField(row, "doing", doing(worker));
  paintLink(fieldOf(row, "doing"), worker.current_task);
  setField(row, "machine", machine(worker));
  setField(row, "blenders", programs(worker, "blender"));
  paintTime(row, "seen", worker.last_seen);
  setHidden(row.querySelector("[data-action=approve]"), worker.approved);
}

function paintLink(link, task) {
  if (task) setAttribute(link, "href", `/jobs/${task.job}`);
  else link.removeAttribute("href");
}

function paintManager(manager) {
  const sites = byId("sites");
  let item = sites.querySelector(`[data-id="${CSS.escape(manager.id)}"]`);
  if (!item) {
    item = cloned("site");
    item.dataset.id = manager.id;
    sites.append(item);
  }
  item.dataset.away = String(manager.away);
  setField(item, "name", manager.name);
  setField(item, "presence", manager.away ? "away since" : "in touch");
  paintTime(item, "seen", manager.away ? manager.last_seen : null);
}
