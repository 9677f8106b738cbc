// The large picture: follows the newest frame, shows a picked one, and plays them all as a flipbook.

import { byId, setAttribute, setHidden, setText } from "./dom.js";
import { caption, frameLabel } from "./words.js";

// Returns the stage, or null for a job without frames.
export function startStage() {
  return byId("picture").hidden ? null : new Stage();
}

class Stage {
  #frames = []; // in rising order, one per number
  #pictures = new Map(); // frame number -> loaded image
  #at = -1;
  #newest = null;
  #timer = null;
  #follows = document.body.dataset.picked === "";

  constructor() {
    byId("play").addEventListener("click", () => this.play());
    byId("back").addEventListener("click", () => this.step(-1));
    byId("forward").addEventListener("click", () => this.step(1));
    byId("scrub").addEventListener("input", (event) => this.#jump(Number(event.target.value)));
    byId("newest").addEventListener("click", () => this.follow());
    addEventListener("popstate", () => this.#goToAddress());
    this.#paintFollowing();
  }

  // Takes frames that changed, several at a time.
  show(changed) {
    const numbers = new Map(this.#frames.map((frame) => [frame.frame, frame]));
    const pictured = changed.filter((frame) => frame.thumbnail && !numbers.get(frame.frame)?.thumbnail);
    changed.forEach((frame) => numbers.set(frame.frame, frame));
    const at = this.#frames[this.#at]?.frame ?? Number(document.body.dataset.picked || NaN);
    this.#frames = [...numbers.values()].sort((one, other) => one.frame - other.frame);
    this.#at = this.#frames.findIndex((frame) => frame.frame === at);
    setAttribute(byId("scrub"), "max", String(this.#frames.length - 1));
    this.#noteNewest(pictured);
    if (this.#follows && !this.#timer) this.#showNumber(this.#newest);
    this.#paintMark();
  }

  // Shows one frame and stays there; the address tells which.
  pick(number) {
    this.#stop();
    this.#setFollowing(false);
    this.#showNumber(number);
    history.pushState(null, "", `?frame=${number}`);
    byId("picture").scrollIntoView({ block: "nearest" });
  }

  follow() {
    this.#stop();
    this.#setFollowing(true);
    this.#showNumber(this.#newest);
    history.replaceState(null, "", location.pathname);
  }

  step(by) {
    if (!this.#frames.length) return;
    this.#stop();
    this.#jump((this.#at + by + this.#frames.length) % this.#frames.length);
  }

  play() {
    if (this.#timer) {
      this.#stop();
      return;
    }
    if (this.#frames.length < 2) return;
    this.#setFollowing(false);
    this.#timer = setInterval(() => this.#showAt((this.#at + 1) % this.#frames.length), 1000 / this.#fps());
    this.#paintPlaying();
  }

  #fps() {
    return Number(document.body.dataset.fps);
  }

  #stop() {
    clearInterval(this.#timer);
    this.#timer = null;
    this.#paintPlaying();
  }

  #jump(index) {
    this.#setFollowing(false);
    this.#showAt(index);
    if (!this.#timer && this.#frames[index]) history.replaceState(null, "", `?frame=${this.#frames[index].frame}`);
  }

  #goToAddress() {
    const number = new URLSearchParams(location.search).get("frame");
    this.#stop();
    this.#setFollowing(number === null);
    this.#showNumber(number === null ? this.#newest : Number(number));
  }

  // The newest is the one that came last while we look; before that, the last in line that has a picture.
  #noteNewest(pictured) {
    if (pictured.length) this.#newest = Math.max(...pictured.map((frame) => frame.frame));
  }

  #showNumber(number) {
    const index = this.#frames.findIndex((frame) => frame.frame === number);
    if (index >= 0) this.#showAt(index);
  }

  #showAt(index) {
    this.#at = index;
    const frame = this.#frames[index];
    const screen = byId("screen");
    screen.classList.toggle("hole", !frame.thumbnail);
    setHidden(byId("no-picture"), Boolean(frame.thumbnail) || this.#newest !== null);
    if (frame.thumbnail) this.#put(screen, this.#picture(frame));
    else screen.replaceChildren();
    setText(byId("caption"), frame.thumbnail ? caption(frame) : frameLabel(frame));
    byId("scrub").value = String(index);
    byId("scrub").setAttribute("aria-valuetext", frameLabel(frame));
    this.#paintMark();
    this.#prepare(index + 1);
  }

  // An image that is not there yet takes its place when it is, so that nothing flickers.
  #put(screen, image) {
    if (image.complete || !screen.firstChild) screen.replaceChildren(image);
    else image.addEventListener("load", () => { if (this.#isShown(image)) screen.replaceChildren(image); }, { once: true });
  }

  #isShown(image) {
    return this.#pictures.get(this.#frames[this.#at]?.frame) === image;
  }

  #picture(frame) {
    let image = this.#pictures.get(frame.frame);
    if (image?.getAttribute("src") !== frame.thumbnail) {
      image = new Image();
      image.src = frame.thumbnail;
      this.#pictures.set(frame.frame, image);
    }
    image.alt = frameLabel(frame);
    return image;
  }

  // Loads what the flipbook is about to show.
  #prepare(index) {
    if (!this.#timer) return;
    for (const frame of this.#frames.slice(index, index + Math.ceil(this.#fps()))) {
      if (frame.thumbnail) this.#picture(frame);
    }
  }

  #setFollowing(follows) {
    this.#follows = follows;
    this.#paintFollowing();
  }

  #paintFollowing() {
    setAttribute(byId("newest"), "aria-pressed", String(this.#follows));
  }

  #paintPlaying() {
    const playing = this.#timer !== null;
    setAttribute(byId("play"), "aria-label", playing ? "Pause" : "Play");
    setAttribute(byId("play").querySelector("use"), "href", `/static/icons.svg#${playing ? "pause" : "play"}`);
  }

  #paintMark() {
    const number = this.#frames[this.#at]?.frame;
    for (const cell of document.querySelectorAll(".grid .cell[aria-current]")) {
      if (Number(cell.dataset.frame) !== number) cell.removeAttribute("aria-current");
    }
    if (number === undefined) return;
    document.querySelector(`.grid .cell[data-frame="${number}"]`)?.setAttribute("aria-current", "true");
  }
}
