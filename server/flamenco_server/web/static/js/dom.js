// Reading and changing the document, touching it only where something differs.

export function byId(id) {
  return document.getElementById(id);
}

// Returns the element that shows a field (data-f) within a row or view, or null.
export function fieldOf(root, name) {
  return root.querySelector(`[data-f="${name}"]`);
}

// Everything that comes from elsewhere passes through here, as text: never as markup.
export function setText(element, text) {
  if (element && element.textContent !== text) element.textContent = text;
}

export function setField(root, name, text) {
  setText(fieldOf(root, name), text);
}

export function setHidden(element, hidden) {
  if (element && element.hidden !== hidden) element.hidden = hidden;
}

export function setAttribute(element, name, value) {
  if (element && element.getAttribute(name) !== value) element.setAttribute(name, value);
}

export function cloned(templateId) {
  return byId(templateId).content.firstElementChild.cloneNode(true);
}

// Makes an element with a text.
export function made(tag, text = "", className = "") {
  const element = document.createElement(tag);
  element.textContent = text;
  if (className) element.className = className;
  return element;
}

// Tells whether a person is at this part of the page: then nothing in it may move.
export function isInUse(element) {
  return element.matches(":hover") || element.contains(document.activeElement);
}
