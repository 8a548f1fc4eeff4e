// Text whose words have times: laid over the text as it was written, lit, and chosen to be heard.

import { items } from "./roving.js";

const NEAR = 48; // characters within which the next word must be found

/**
 * A text in which words become buttons as their times come in.
 *
 * What was said is not always what was written ("$5": "five dollars"). Words that are not found give
 * their times to the text between the found ones around them.
 */
export class TimedText {
  #at = 0; // the text before it has been laid out
  #unfound = []; // words since then that are not in the text as they were said

  /** `chosen(start)`: called with the second at which a chosen word begins. */
  constructor(element, text, chosen) {
    Object.assign(this, { element, text, chosen });
    this.lower = text.toLowerCase().length === text.length ? text.toLowerCase() : text;
    this.rest = document.createTextNode(text);
    element.replaceChildren(this.rest);
  }

  /** Words in order: [{word, start, end}]. */
  add(words) {
    for (const word of words) {
      const sought = word.word.trim().toLowerCase();
      const found = sought ? this.lower.indexOf(sought, this.#at) : -1;
      if (found < 0 || found > this.#at + NEAR) {
        if (sought) this.#unfound.push(word);
        continue;
      }
      this.#between(found);
      this.#timed(sought.length, word.start, word.end);
    }
    this.rest.data = this.text.slice(this.#at);
    this.#stop();
  }

  /** No more words come. */
  finish() {
    this.#between(this.text.length);
    this.rest.data = "";
    this.#stop();
  }

  #between(end) {
    const [, before, said] = this.text.slice(this.#at, end).match(/^([\s\p{P}]*)(.*?)[\s\p{P}]*$/su);
    if (said && this.#unfound.length) {
      this.#plain(before.length);
      this.#timed(said.length, this.#unfound[0].start, this.#unfound.at(-1).end);
    }
    this.#plain(end - this.#at);
    this.#unfound = [];
  }

  #plain(length) {
    if (length) this.rest.before(this.text.slice(this.#at, this.#at + length));
    this.#at += length;
  }

  #timed(length, start, end) {
    const word = document.createElement("span");
    word.className = "word";
    word.setAttribute("role", "button");
    word.tabIndex = -1;
    word.textContent = this.text.slice(this.#at, this.#at + length);
    Object.assign(word.dataset, { start, end });
    word.addEventListener("click", () => this.chosen(start));
    this.rest.before(word);
    this.#at += length;
  }

  #stop() {
    const roving = this.element.closest("[data-roving]");
    if (roving && !roving.querySelector("[data-stop]")) items(roving);
  }
}

/** Lights what is said among the elements of a container that have data-start and data-end. */
export class Lights {
  #lit = -1;

  constructor(container, selector) {
    this.container = container;
    this.elements = container.getElementsByClassName(selector); // live, in order
  }

  /** Light what is said at this second; nothing where `playing` is false. */
  at(seconds, playing) {
    const { elements } = this;
    let [low, high] = [0, elements.length]; // the first that starts later lies between
    while (low < high) {
      const middle = (low + high) >> 1;
      if (Number(elements[middle].dataset.start) <= seconds) low = middle + 1;
      else high = middle;
    }
    const latest = low - 1;
    for (let i = Math.max(0, Math.min(latest, this.#lit)); i < elements.length; i++) {
      if (i > Math.max(latest, this.#lit)) break;
      elements[i].classList.toggle("said", i < latest || seconds >= Number(elements[i].dataset.end));
      if (i !== latest) elements[i].classList.remove("lit");
    }
    const now = elements[latest];
    const lit = Boolean(now) && playing && seconds < Number(now.dataset.end);
    if (now && lit !== now.classList.contains("lit")) {
      now.classList.toggle("lit", lit);
      if (lit) this.#into(now);
    }
    this.#lit = latest;
  }

  /** Scroll inside the container only: the page stays where the reader has put it. */
  #into(element) {
    const [outer, inner] = [this.container.getBoundingClientRect(), element.getBoundingClientRect()];
    if (inner.top < outer.top || inner.bottom > outer.bottom) {
      this.container.scrollTop += inner.top - outer.top - this.container.clientHeight / 3;
    }
  }
}
