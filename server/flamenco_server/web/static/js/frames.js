// The frames of a job: feeds the stage with pictures, and keeps the grid fresh.

import { get } from "./api.js";
import { byId, cloned, setAttribute, setHidden, setText } from "./dom.js";
import { painter } from "./paint.js";
import { caption, frameLabel, look } from "./words.js";

const IDLE = { take() {}, async refresh() {} };
const PEEK_GAP_PX = 8;

export function startFrames(stage) {
  if (!stage) return IDLE;
  const grid = byId("grid");
  const frames = new Map();
  const paint = painter((changed) => {
    if (grid) changed.forEach((frame) => paintCell(grid, frame));
    stage.show(changed);
  });
  if (grid) {
    startPeek(grid, frames);
    startPicking(grid, stage);
  }
  const take = (frame) => {
    frames.set(keyOf(frame), frame);
    paint(keyOf(frame), frame);
  };
  return {
    take,
    async refresh(jobId) {
      (await get(`/api/v1/jobs/${jobId}/frames`)).frames.forEach(take);
    },
  };
}

function keyOf(frame) {
  return `${frame.frame}:${frame.layer}`;
}

function cellOf(grid, frame) {
  return grid.querySelector(`[data-frame="${frame.frame}"][data-layer="${CSS.escape(frame.layer)}"]`);
}

function paintCell(grid, frame) {
  const cell = cellOf(grid, frame) ?? appended(grid, frame);
  if (!cell) return;
  cell.dataset.status = frame.status;
  cell.dataset.tone = look(frame.status).tone;
  setAttribute(cell, "aria-label", frameLabel(frame));
}

function appended(grid, frame) {
  if (grid.children.length >= Number(grid.dataset.most)) return null;
  const item = cloned("frame-cell");
  const cell = item.querySelector(".cell");
  cell.dataset.frame = frame.frame;
  cell.dataset.layer = frame.layer;
  cell.setAttribute("href", `?frame=${frame.frame}#picture`);
  setText(cell, String(frame.frame));
  grid.append(item);
  setHidden(byId("no-frames"), true);
  return cell;
}

function startPicking(grid, stage) {
  grid.addEventListener("click", (event) => {
    const cell = event.target.closest(".cell");
    if (!cell || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    stage.pick(Number(cell.dataset.frame));
  });
}

// A small picture beside the cell under the pointer or the focus.
function startPeek(grid, frames) {
  const peek = byId("peek");
  const open = (event) => {
    const cell = event.target.closest(".cell");
    const frame = cell && frames.get(`${cell.dataset.frame}:${cell.dataset.layer}`);
    if (frame) fillPeek(peek, cell, frame);
  };
  const close = () => setHidden(peek, true);
  grid.addEventListener("pointerover", (event) => { if (event.pointerType !== "touch") open(event); });
  grid.addEventListener("focusin", (event) => { if (event.target.matches(":focus-visible")) open(event); });
  grid.addEventListener("pointerleave", close);
  grid.addEventListener("focusout", close);
  addEventListener("scroll", close, { passive: true });
}

function fillPeek(peek, cell, frame) {
  const image = peek.querySelector("img");
  setHidden(image, !frame.thumbnail);
  if (frame.thumbnail) setAttribute(image, "src", frame.thumbnail);
  setText(peek.querySelector("p"), `${caption(frame)}, ${look(frame.status).word.toLowerCase()}`);
  setHidden(peek, false);
  const place = cell.getBoundingClientRect();
  const left = Math.min(Math.max(PEEK_GAP_PX, place.left), innerWidth - peek.offsetWidth - PEEK_GAP_PX);
  const above = place.top - peek.offsetHeight - PEEK_GAP_PX;
  peek.style.left = `${left}px`;
  peek.style.top = `${above > 0 ? above : place.bottom + PEEK_GAP_PX}px`;
}
