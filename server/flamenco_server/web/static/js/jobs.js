// The list of jobs.

import { get } from "./api.js";
import { byId, fieldOf, setAttribute, setField, setHidden } from "./dom.js";
import { freshList } from "./list.js";
import { live } from "./live.js";
import { announce } from "./notices.js";
import { paintBar, paintPicture, paintState, paintTime } from "./paint.js";
import { canBeCanceled, look, requested, timeNote } from "./words.js";

const CLOCK_MS = 5000;
const ROWS = 100;

export function startJobs() {
  const { statusFilter, after } = document.body.dataset;
  const list = freshList({
    paintRow,
    isNew: (job) => !after && (!statusFilter || job.status === statusFilter) && fits(job.name),
    comesBefore: (job, other) => job.created_at > other.created_at,
    noun: "job",
    afterPaint: () => narrow(),
  });
  const query = new URLSearchParams({ limit: ROWS, ...(statusFilter && { status: statusFilter }), ...(after && { after }) });

  const take = (job) => (job.deleted_at ? list.drop(job.id) : list.take(job));
  const gone = (thing) => { if (thing.gone === "job") list.drop(thing.id); };
  live("/api/v1/events", { job: take, gone }, async () => {
    for (const job of (await get(`/api/v1/jobs?${query}`)).jobs) list.take(job);
  });
  setInterval(() => list.repaintAll(), CLOCK_MS);
  byId("find").addEventListener("input", onFind);
}

function paintRow(row, job) {
  tell(row.dataset.status, job);
  row.dataset.status = job.status;
  paintState(row, look(job.status), requested(job));
  paintBar(row, job);
  paintPicture(row, job.newest_frame);
  setField(row, "name", job.name);
  setAttribute(fieldOf(row, "name"), "href", `/jobs/${job.id}`);
  setField(row, "took", timeNote(job, Date.now()));
  setField(row, "activity", job.activity);
  setField(row, "owner", job.owner);
  setField(row, "priority", String(job.priority));
  setField(row, "site", job.manager?.name ?? "");
  paintTime(row, "submitted", job.created_at);
  setHidden(row.querySelector("[data-action=cancel]"), !canBeCanceled(job));
}

// Tells screen readers when a job changes its state, and nothing in between.
function tell(before, job) {
  if (before && before !== job.status) announce(`${job.name}: ${look(job.status).word}`);
}

function wanted() {
  return byId("find").value.trim().toLowerCase();
}

function fits(name) {
  return name.toLowerCase().includes(wanted());
}

function narrow() {
  for (const row of byId("rows").children) setHidden(row, !fits(fieldOf(row, "name").textContent));
}

function onFind() {
  const url = new URL(location.href);
  if (wanted()) url.searchParams.set("find", byId("find").value.trim());
  else url.searchParams.delete("find");
  history.replaceState(null, "", url);
  narrow();
}
