// The page's elements by id, and new ones.

import { show } from "./language.js";

export const by = (id) => document.getElementById(id);

/** A new element with a class, attributes and children; text goes in as text. */
export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** A new element that shows a string of the table. */
export function say(tag, key, ...values) {
  const element = document.createElement(tag);
  show(element, key, ...values);
  return element;
}

/** Give a select new options, [{value, text, group?}], and keep what was chosen where it is still there. */
export function options(select, entries) {
  const chosen = select.value;
  const groups = new Map();
  const roots = [];
  for (const { value, text, group } of entries) {
    const option = make("option", { value, textContent: text });
    if (!group) roots.push(option);
    else if (groups.has(group)) groups.get(group).append(option);
    else {
      const parent = make("optgroup", { label: group }, option);
      groups.set(group, parent);
      roots.push(parent);
    }
  }
  select.replaceChildren(...roots);
  if (entries.some(({ value }) => value === chosen)) select.value = chosen;
  select.disabled = entries.length === 0;
}
