// The keyboard. Links and buttons keep their own keys: Enter on a row's link opens it, without any help from here.

import { byId } from "./dom.js";

const PREFIX_MS = 1500;
const STORED = "flamenco-letter-keys";
const GO = { j: "/", w: "/workers" };
const KEYS = {
  "/": () => byId("find")?.focus(),
  "?": () => byId("keys")?.showModal(),
  j: () => move(1),
  ArrowDown: () => move(1),
  k: () => move(-1),
  ArrowUp: () => move(-1),
  ArrowRight: () => moveInGrid(1),
  ArrowLeft: () => moveInGrid(-1),
  Escape: leave,
  c: () => press(rowAtFocus()?.querySelector("[data-action=cancel]") ?? document.querySelector(".job-head [data-action=cancel]")),
  f: () => press(document.querySelector('.tabs [data-tab="frames"]')),
  t: () => press(document.querySelector('.tabs [data-tab="tasks"]')),
  l: () => press(document.querySelector('.tabs [data-tab="log"]')),
  " ": () => press(byId("play")),
  ",": () => press(byId("back")),
  ".": () => press(byId("forward")),
};
let prefixed = 0;

export function startKeys() {
  document.addEventListener("keydown", onKey);
  byId("help")?.addEventListener("click", KEYS["?"]);
  const choice = byId("letter-keys");
  if (!choice) return;
  choice.checked = lettersAreOn();
  choice.addEventListener("change", () => localStorage.setItem(STORED, choice.checked ? "on" : "off"));
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const typing = event.target.matches("input:not([type=range]):not([type=checkbox]), textarea, select");
  if (typing && event.key !== "Escape") return;
  if (/^[a-z]$/.test(event.key) && !lettersAreOn()) return;
  if (isTaken(event)) return;
  if (act(event.key)) event.preventDefault();
}

// Keys that mean something where the focus is: Space on a button, arrows on a slider or in the log.
function isTaken(event) {
  if (event.key === " ") return event.target.matches("button, a, input, pre");
  return event.key.startsWith("Arrow") && event.target.matches("input, pre");
}

// Does what a key stands for; tells whether it stands for anything here.
function act(key) {
  if (key === "g") {
    prefixed = Date.now();
    return true;
  }
  const goes = Date.now() - prefixed < PREFIX_MS && GO[key];
  prefixed = 0;
  if (goes) {
    location.assign(goes);
    return true;
  }
  return KEYS[key] ? KEYS[key]() !== false : false;
}

function lettersAreOn() {
  return localStorage.getItem(STORED) !== "off";
}

function press(element) {
  if (!element || element.hidden || element.disabled) return false;
  element.click();
  return true;
}

function rowAtFocus() {
  return document.activeElement?.closest("tr[data-id]");
}

function rowLinks() {
  return [...document.querySelectorAll(".rows tbody tr:not([hidden]) .row-link")].filter((link) => link.href);
}

// Moves the focus to the next row, or by a line in the grid of frames.
function move(by) {
  if (document.activeElement?.matches(".grid .cell")) return moveInGrid(by * cellsPerLine());
  const links = rowLinks();
  if (!links.length) return document.querySelector(".grid .cell") ? focusOn(document.querySelector(".grid .cell")) : false;
  const at = links.findIndex((link) => link.closest("tr").contains(document.activeElement));
  return focusOn(links[Math.min(Math.max(at + by, 0), links.length - 1)]);
}

function moveInGrid(by) {
  if (!document.activeElement?.matches(".grid .cell")) return false;
  const cells = [...document.querySelectorAll(".grid .cell")];
  return focusOn(cells[cells.indexOf(document.activeElement) + by]);
}

function cellsPerLine() {
  const cells = [...document.querySelectorAll(".grid .cell")];
  const top = cells[0].offsetTop;
  const second = cells.findIndex((cell) => cell.offsetTop !== top);
  return second < 0 ? cells.length : second;
}

function focusOn(element) {
  if (!element) return false;
  element.focus();
  return true;
}

// Leaves the field, else the job.
function leave() {
  if (document.activeElement?.matches("input")) document.activeElement.blur();
  else if (document.body.dataset.view === "job") location.assign("/");
  else return false;
  return true;
}
