// Times in the reader's own time zone: the Server, which does not know it, writes UTC.

import { clockTime } from "./words.js";

export function startTimes() {
  for (const element of document.querySelectorAll("time[datetime]")) {
    element.textContent = clockTime(element.dateTime, Date.now());
    element.title = new Date(element.dateTime).toString();
  }
}
