// Puts words, shapes, bars and pictures in place.

import { fieldOf, setAttribute, setField, setHidden, setText } from "./dom.js";
import { amount, bar, clockTime } from "./words.js";

export const REPAINT_MS = 250;

// Returns a function that notes what changed, by key; each is painted in its last state, four times a second at most.
export function painter(paint) {
  const waiting = new Map();
  let next = 0;
  let timer = null;
  const flush = () => {
    timer = null;
    next = performance.now() + REPAINT_MS;
    const things = [...waiting.values()];
    waiting.clear();
    paint(things);
  };
  return (key, thing) => {
    waiting.set(key, thing);
    timer ??= setTimeout(flush, Math.max(0, next - performance.now()));
  };
}

export function paintState(root, look, asked) {
  const state = root.querySelector(".state");
  if (!state) return;
  state.dataset.tone = look.tone;
  setAttribute(state.querySelector("use"), "href", `/static/states.svg#${look.shape}`);
  setText(state.querySelector(".word"), look.word);
  setField(root, "asked", asked);
  setHidden(fieldOf(root, "asked"), !asked);
}

export function paintBar(root, job) {
  const parts = bar(job);
  const starts = { done: 0, running: parts.done, failed: parts.done + parts.running };
  for (const [part, start] of Object.entries(starts)) {
    const rect = root.querySelector(`.bar [data-part="${part}"]`);
    setAttribute(rect, "x", String(start));
    setAttribute(rect, "width", String(parts[part]));
  }
  setAttribute(root.querySelector(".bar"), "aria-label", `${parts.percent} % done`);
  setField(root, "percent", `${parts.percent} %`);
  setField(root, "amount", amount(job));
}

export function paintTime(root, field, text) {
  const element = fieldOf(root, field);
  if (!element) return;
  if (!text) {
    element.removeAttribute("datetime");
    setText(element, "");
    return;
  }
  setAttribute(element, "datetime", text);
  element.title = new Date(text).toString();
  setText(element, clockTime(text, Date.now()));
}

export function paintPicture(root, newestFrame) {
  const image = fieldOf(root, "picture");
  if (!image || !newestFrame) return;
  setAttribute(image, "src", newestFrame.thumbnail);
  setHidden(image, false);
}
