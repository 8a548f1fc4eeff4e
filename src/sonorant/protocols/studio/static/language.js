// The page's language: chosen by the browser's, switched by hand, remembered.
// Text that is set through here follows the switch.

import { STRINGS } from "./strings.js";

const KEPT = "sonorant.language";

export let language = chosen();

function chosen() {
  const wanted = [remembered(), ...navigator.languages].map((tag) => (tag || "").split("-")[0]);
  return wanted.find((tag) => tag in STRINGS) || "en";
}

function remembered() {
  try {
    return localStorage.getItem(KEPT);
  } catch {
    return null; // a browser that keeps nothing for this site
  }
}

/** The string of that key in the page's language, its {0}, {1} … filled in. */
export function t(key, ...values) {
  return STRINGS[language][key].replace(/\{(\d)\}/g, (_, index) => values[index]);
}

/** Whether there is such a string: names from the server may be new ones. */
export const known = (key) => key in STRINGS[language];

/** Whether a BCP 47 tag is the page's language. */
export const ours = (tag) => tag?.split("-")[0] === language;

/** Show the string of that key in an element, now and after a switch. */
export function show(element, key, ...values) {
  element.dataset.t = key;
  element.dataset.values = JSON.stringify(values);
  element.textContent = t(key, ...values);
}

/** Show text that is nobody's translation: a name, a figure, a message of the server. */
export function showPlain(element, text) {
  delete element.dataset.t;
  element.textContent = text;
}

/** An attribute (title, aria-label, placeholder) from the table, now and after a switch. */
export function label(element, attribute, key, ...values) {
  element.setAttribute(`data-t-${attribute}`, JSON.stringify([key, ...values]));
  element.setAttribute(attribute, t(key, ...values));
}

/** Go over to a language and remember it. */
export function speakLanguage(tag) {
  language = tag;
  try {
    localStorage.setItem(KEPT, tag);
  } catch {
    // it holds until the page is left
  }
  translate();
}

const ATTRIBUTES = ["title", "aria-label", "placeholder"];

/** Put the page into its language. Sends `translated` for what is drawn rather than written. */
export function translate() {
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  document.title = t("title");
  for (const element of document.querySelectorAll("[data-t]")) {
    element.textContent = t(element.dataset.t, ...JSON.parse(element.dataset.values || "[]"));
  }
  for (const attribute of ATTRIBUTES) {
    for (const element of document.querySelectorAll(`[data-t-${attribute}]`)) {
      const stored = element.getAttribute(`data-t-${attribute}`);
      const [key, ...values] = stored.startsWith("[") ? JSON.parse(stored) : [stored];
      element.setAttribute(attribute, t(key, ...values));
    }
  }
  document.dispatchEvent(new Event("translated"));
}

/** The name of a language (BCP 47) in the page's. */
export function languageName(tag) {
  try {
    return new Intl.DisplayNames([language], { type: "language" }).of(tag);
  } catch {
    return tag; // not a tag that the browser can read
  }
}
