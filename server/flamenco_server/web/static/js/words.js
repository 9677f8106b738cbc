// What the page says of things, live. web/words.py says the same when the Server renders; a test compares the two.

const looks = JSON.parse(document.getElementById("looks")?.textContent ?? '{"job": {}, "worker": {}}');
const UNKNOWN = { word: "Unknown", shape: "preparing", tone: "idle" };
const REQUEST_WORDS = { asleep: "going to sleep", awake: "waking", offline: "shutting down", restart: "restarting" };
const MEASURING_STEPS = 3;
const ESTIMATE_SPREAD = [0.85, 1.25];
const UNITS = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const BAR_LENGTH = 10_000;
const LEAST_FAILED = 200;
const MEASURING = "measuring…";
const ENDED = new Set(["completed", "failed", "canceled"]);

export function look(status) {
  return looks.job[status] ?? UNKNOWN;
}

export function workerState(worker) {
  if (!worker.approved) return "unapproved";
  return worker.status === "awake" && worker.current_task ? "working" : worker.status;
}

export function workerLook(worker) {
  return looks.worker[workerState(worker)] ?? UNKNOWN;
}

// Says what is asked of a job or Worker and not true yet.
export function requested(thing) {
  if (thing.cancel_requested && thing.status !== "cancel-requested" && !ENDED.has(thing.status)) {
    return look("cancel-requested").word.toLowerCase();
  }
  const wanted = thing.status_requested;
  if (thing.status === "offline") return wanted === "asleep" ? "asleep when it is back" : "";
  if (!wanted || wanted === thing.status) return "";
  return REQUEST_WORDS[wanted] ?? wanted;
}

export function canBeCanceled(job) {
  return !ENDED.has(job.status) && job.status !== "cancel-requested" && !job.cancel_requested;
}

// Measures the parts of a job's bar, in ten-thousandths of its length.
export function bar(job) {
  const counts = job.task_counts;
  const tasks = job.task_count;
  const done = job.steps_total
    ? share(job.steps_completed, job.steps_total)
    : share(counts.completed ?? 0, tasks);
  const failed = counts.failed ? Math.max(LEAST_FAILED, share(counts.failed, tasks)) : 0;
  const shown = Math.min(done, BAR_LENGTH - failed);
  const running = Math.min(share(counts.active ?? 0, tasks), BAR_LENGTH - shown - failed);
  return { percent: Math.floor((done * 100) / BAR_LENGTH), done: shown, running, failed };
}

function share(part, whole) {
  return whole ? Math.min(BAR_LENGTH, Math.floor((part * BAR_LENGTH) / whole)) : 0;
}

export function amount(job) {
  if (job.frame_count) return `${job.frames_done} of ${job.frame_count} frames`;
  return `${job.task_counts.completed ?? 0} of ${counted(job.task_count, "task")}`;
}

export function counted(number, noun) {
  return number === 1 ? `${number} ${noun}` : `${number} ${noun}s`;
}

export function countWords(counts) {
  return Object.entries(looks.job).filter(([status]) => counts[status]).map(([status, look]) => [look, counts[status]]);
}

export function duration(seconds) {
  if (seconds < 10) {
    const tenths = Math.floor(Math.max(0, seconds) * 10 + 0.5);
    return tenths % 10 ? `${Math.floor(tenths / 10)}.${tenths % 10} s` : `${tenths / 10} s`;
  }
  const whole = Math.floor(seconds);
  for (const [index, [unit, size]] of UNITS.slice(0, -1).entries()) {
    if (whole < size) continue;
    const [lesser, part] = UNITS[index + 1];
    const rest = Math.floor((whole % size) / part);
    return rest ? `${Math.floor(whole / size)} ${unit} ${rest} ${lesser}` : `${Math.floor(whole / size)} ${unit}`;
  }
  return `${whole} s`;
}

export function took(thing, now) {
  if (!thing.started_at) return "";
  const end = thing.finished_at ? Date.parse(thing.finished_at) : now;
  return duration((end - Date.parse(thing.started_at)) / 1000);
}

// Says how long a running job still needs, as a range.
export function timeLeft(job, now) {
  if (job.status !== "active" || !job.started_at || !job.steps_total) return "";
  const { steps_completed: done, steps_total: total } = job;
  if (done < MEASURING_STEPS) return MEASURING;
  const left = ((now - Date.parse(job.started_at)) / 1000) * (total - done) / done;
  return range(left * ESTIMATE_SPREAD[0], left * ESTIMATE_SPREAD[1]);
}

export function timeNote(job, now) {
  const left = timeLeft(job, now);
  if (left === MEASURING) return left;
  return left ? `${left} left` : took(job, now);
}

function range(least, most) {
  const [unit, size, step] = [["h", 3600, 1800], ["min", 60, 60], ["s", 1, 5]].find(
    ([unit, size]) => most >= size * 1.5 || unit === "s",
  );
  const [low, high] = [least, most].map((value) => Math.max(step, Math.floor(value / step + 0.5) * step) / size);
  return low === high ? `about ${low} ${unit}` : `${low}–${high} ${unit}`;
}

export function memory(bytes) {
  return `${Math.floor(bytes / 2 ** 30 + 0.5)} GiB`;
}

// Writes a time in the reader's own time zone, as short as it is clear.
export function clockTime(text, now) {
  const when = new Date(text);
  const today = new Date(now);
  const clock = `${twoDigits(when.getHours())}:${twoDigits(when.getMinutes())}`;
  if (when.toDateString() === today.toDateString()) return clock;
  const day = `${when.getDate()} ${MONTHS[when.getMonth()]}`;
  return when.getFullYear() === today.getFullYear() ? `${day} ${clock}` : `${day} ${when.getFullYear()}`;
}

function twoDigits(number) {
  return String(number).padStart(2, "0");
}

export function frameLabel(frame) {
  const parts = [`Frame ${frame.frame}`, look(frame.status).word.toLowerCase()];
  if (frame.seconds) parts.push(duration(frame.seconds));
  return parts.join(", ");
}

export function caption(frame) {
  const parts = [`Frame ${frame.frame}`];
  if (frame.seconds) parts.push(duration(frame.seconds));
  if (frame.worker_name) parts.push(frame.worker_name);
  if (frame.width) parts.push(`${frame.width} × ${frame.height}`);
  return parts.join(" · ");
}

export function programs(worker, name) {
  const versions = (worker.programs ?? []).filter((program) => program.name === name).map((program) => program.version);
  return [...new Set(versions)].join(", ");
}

export function machine(worker) {
  const hardware = worker.hardware ?? {};
  const parts = hardware.cpu_count ? [counted(hardware.cpu_count, "core")] : [];
  if (hardware.memory_bytes) parts.push(memory(hardware.memory_bytes));
  const gpus = new Map();
  for (const gpu of hardware.gpus ?? []) gpus.set(gpu.name, (gpus.get(gpu.name) ?? 0) + 1);
  for (const [name, number] of gpus) parts.push(number === 1 ? name : `${number} × ${name}`);
  return parts.join(", ");
}

export function doing(worker) {
  const task = worker.current_task;
  if (task) return `${task.job_name}: ${task.name}`;
  return workerState(worker) === "awake" ? "waits for work" : "";
}

export function workersSummary(workers) {
  const parts = [["working", "running"], ["awake", "free"], ["unapproved", "awaiting approval"], ["error", "not responding"]];
  const numberIn = (state) => workers.filter((worker) => workerState(worker) === state).length;
  return parts.filter(([state]) => numberIn(state)).map(([state, word]) => `${numberIn(state)} ${word}`).join(", ");
}

export function taskActivity(task) {
  const failed = task.status === "soft-failed" || task.status === "failed";
  return failed && task.failed_by.length ? task.failed_by.at(-1).reason : task.activity;
}
