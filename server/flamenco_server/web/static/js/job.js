// The page of one job: its head and progress; the tab that is open looks after itself.

import { get } from "./api.js";
import { byId, fieldOf, made, setField, setHidden, setText } from "./dom.js";
import { startFrames } from "./frames.js";
import { live } from "./live.js";
import { startLog } from "./log.js";
import { announce } from "./notices.js";
import { paintBar, painter, paintState } from "./paint.js";
import { startStage } from "./stage.js";
import { startTasks } from "./tasks.js";
import { amount, canBeCanceled, countWords, look, requested, timeLeft, took } from "./words.js";

const CLOCK_MS = 1000;
const TOLD_PERCENT = 25;

export function startJob() {
  const id = document.body.dataset.job;
  const stage = startStage();
  const frames = startFrames(stage);
  const tasks = startTasks(id);
  const log = startLog();
  let newest = null;
  const paint = painter(([job]) => { newest = job; paintJob(job); });
  const take = (job) => { if (job.id === id) paint(id, job); };

  live(`/api/v1/events?job=${id}`, {
    job: take,
    frame: frames.take,
    task: (task) => { if (task.job === id) { tasks.take(task); log.take(task); } },
  }, () => Promise.all([get(`/api/v1/jobs/${id}`).then(take), frames.refresh(id), tasks.refresh()]));
  setInterval(() => { if (newest) paintTimes(newest); }, CLOCK_MS);
}

function paintJob(job) {
  tell(job);
  document.body.dataset.status = job.status;
  const head = document.querySelector(".job-head");
  paintState(head, look(job.status), requested(job));
  setHidden(head.querySelector("[data-action=cancel]"), !canBeCanceled(job));
  const progress = document.querySelector(".progress");
  paintBar(progress, job);
  paintCounts(job.task_counts);
  paintTimes(job);
  setField(progress, "activity", job.activity);
  setHidden(fieldOf(progress, "activity"), !job.activity);
  setField(progress, "site", job.manager?.name ?? "none yet");
  setField(progress, "priority", String(job.priority));
}

function paintTimes(job) {
  const left = timeLeft(job, Date.now());
  setField(document, "took-label", left ? "Time left" : "Took");
  setText(document.querySelector(".progress [data-f=took]"), left || took(job, Date.now()) || "not begun");
}

function paintCounts(counts) {
  const parts = countWords(counts).flatMap(([look, number]) => [count(look, number), " "]);
  byId("counts").replaceChildren(...parts);
}

function count(look, number) {
  const element = made("span", "", "count");
  element.dataset.tone = look.tone;
  const shape = document.querySelector(".big-state .shape").cloneNode(true);
  shape.querySelector("use").setAttribute("href", `/static/states.svg#${look.shape}`);
  element.append(shape, `${look.word} ${number}`);
  return element;
}

let told = "";

// Tells screen readers each quarter, and each new state.
function tell(job) {
  const word = look(job.status).word;
  const quarter = job.task_count ? Math.floor((100 * job.steps_completed) / (job.steps_total || 1) / TOLD_PERCENT) : 0;
  const now = `${word} ${quarter}`;
  if (told && told !== now) announce(`${job.name}: ${word}, ${amount(job)}`);
  told = now;
}
