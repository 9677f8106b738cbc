// A list that stays fresh: rows are repainted in place, new ones wait behind a pill while somebody is at the list.

import { byId, cloned, isInUse, setHidden, setText } from "./dom.js";
import { painter } from "./paint.js";
import { counted } from "./words.js";

// paintRow(row, thing) fills a row; isNew(thing) tells whether a thing without a row belongs here; comesBefore(a, b)
// orders them; noun names one. Returns {take, drop, things, repaintAll}.
export function freshList({ paintRow, isNew, comesBefore, noun, afterPaint }) {
  const body = byId("rows");
  const list = byId("list");
  const pill = byId("fresh");
  const things = new Map();
  const held = new Map();

  const repaint = painter((changed) => {
    for (const thing of changed) {
      if (!things.has(thing.id)) continue; // dropped since
      const row = rowOf(thing.id);
      if (row) paintRow(row, thing);
      else if (isNew(thing)) held.set(thing.id, thing);
    }
    if (held.size && !isInUse(list)) showHeld();
    paintPill();
    afterPaint?.(changed);
  });

  function rowOf(id) {
    return body.querySelector(`[data-id="${CSS.escape(id)}"]`);
  }

  function showHeld() {
    for (const thing of held.values()) insert(things.get(thing.id));
    held.clear();
    setHidden(byId("empty"), true);
    setHidden(list, false);
    paintPill();
  }

  function insert(thing) {
    const row = cloned("row");
    row.dataset.id = thing.id;
    row.dataset.fresh = "";
    delete row.dataset.status;
    paintRow(row, thing);
    const behind = [...body.children].find((other) => {
      const known = things.get(other.dataset.id);
      return known && comesBefore(thing, known);
    });
    body.insertBefore(row, behind ?? null);
  }

  function paintPill() {
    setText(pill, `${counted(held.size, `new ${noun}`)}, show`);
    setHidden(pill, held.size === 0);
  }

  pill.addEventListener("click", showHeld);
  return {
    things,
    take(thing) {
      things.set(thing.id, thing);
      repaint(thing.id, thing);
    },
    drop(id) {
      things.delete(id);
      held.delete(id);
      rowOf(id)?.remove();
      setHidden(byId("empty"), body.children.length > 0);
      setHidden(list, body.children.length === 0);
      paintPill();
      afterPaint?.([]);
    },
    repaintAll() {
      for (const thing of things.values()) repaint(thing.id, thing);
    },
  };
}
