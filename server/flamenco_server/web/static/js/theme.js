// Dark, light, or as the system has it; kept in a cookie, so that the Server renders the right one at once.

import { byId, setText } from "./dom.js";

const NEXT = { dark: "light", light: "system", system: "dark" };
const WORDS = { dark: "Dark", light: "Light", system: "System" };
const YEAR_S = 365 * 24 * 3600;

export function startTheme() {
  paint();
  byId("theme").addEventListener("click", () => {
    const root = document.documentElement;
    root.dataset.theme = NEXT[root.dataset.theme];
    document.cookie = `flamenco_theme=${root.dataset.theme}; path=/; max-age=${YEAR_S}; samesite=lax`;
    paint();
  });
}

function paint() {
  setText(byId("theme").querySelector(".label"), WORDS[document.documentElement.dataset.theme]);
}
