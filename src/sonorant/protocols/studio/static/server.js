// The server's own state, asked gently and only while the page can be seen: health, load, models, voices.

import { ask, get } from "./api.js";
import { showTime } from "./clock.js";
import { by, make, options, say } from "./dom.js";
import { known, label, languageName, ours, show, showPlain, t } from "./language.js";
import { parsed } from "./metrics.js";
import { items, rove } from "./roving.js";
import { joins, sounds } from "./sound.js";

const EVERY = 4; // seconds
const KEPT = 60; // points of a course

let timer = 0;
let settled = ""; // the models' states when models and voices were last read
let health = { status: "loading", models: [] };
let models = [];
let voices = [];
let load = null;
const courses = new Map(); // model → active requests at the last polls
const preview = new Audio();
let previewed = ""; // the address of the preview that plays

/** `changed({models, voices})`: called when they have been read anew. `use(voice)`: a voice was chosen. */
export function start({ changed, use }) {
  rove(by("voices"));
  joins("preview", halt);
  show(by("live"), "server.live", EVERY);
  const poll = async () => {
    clearTimeout(timer);
    if (document.hidden) return;
    try {
      await read(changed, use);
      showPlain(by("server-error"), "");
    } catch (error) {
      showPlain(by("server-error"), error.message);
    }
    timer = setTimeout(poll, EVERY * 1000);
  };
  document.addEventListener("visibilitychange", poll);
  document.addEventListener("key-given", () => {
    settled = "";
    poll();
  });
  document.addEventListener("translated", () => {
    draw(use);
    changed({ models, voices });
  });
  preview.addEventListener("ended", mark);
  preview.addEventListener("pause", mark);
  poll();
}

async function read(changed, use) {
  const signal = AbortSignal.timeout(2 * EVERY * 1000);
  try {
    health = await get("health", { signal });
  } catch (error) {
    health = { status: "unreachable", models: health.models };
    draw(use);
    throw error;
  }
  load = parsed(await (await ask("metrics", { signal })).text());
  const states = JSON.stringify(health.models);
  if (states !== settled) {
    models = (await get("v1/models", { signal })).data;
    voices = (await get("v1/audio/voices", { signal })).data;
    settled = states;
    changed({ models, voices });
    drawVoices(use);
  }
  for (const { id, task } of models) {
    const course = courses.get(id) || [];
    courses.set(id, [...course, load(`${prefix(task)}_active_requests`, { model: id })].slice(-KEPT));
  }
  drawHealth();
  drawModels();
}

const prefix = (task) => (task === "text-to-speech" ? "tts" : "asr");
const named = (kind, value) => (known(`${kind}.${value}`) ? say("span", `${kind}.${value}`) : make("span", {}, value));

function draw(use) {
  drawHealth();
  drawModels();
  drawVoices(use);
}

function drawHealth() {
  by("health").dataset.state = health.status;
  show(by("health-word"), `health.${health.status}`);
}

function drawModels() {
  by("models").replaceChildren(...models.map(card));
}

function card({ id, task }) {
  const { state = "loading", reason = "" } = health.models.find(({ name }) => name === id) || {};
  const badge = make("span", { className: "state-word" }, make("span", { className: "dot" }), named("state", state));
  badge.dataset.state = state;
  const title = make("div", { className: "row" }, make("strong", {}, id), named("task", task), badge);
  title.children[1].className = "muted";
  const item = make("li", {}, title);
  if (reason) item.append(make("p", { className: "error" }, reason));
  if (load && (task === "text-to-speech" || task === "speech-to-text")) item.append(figures(id, prefix(task)));
  return item;
}

function figures(model, tts) {
  const sum = (name, labels = {}) => load(`${tts}_${name}`, { model, ...labels });
  const mean = (name) => sum(`${name}_sum`) / sum(`${name}_count`);
  const first = mean(tts === "tts" ? "time_to_first_audio_seconds" : "time_to_first_text_seconds");
  const rtf = mean("realtime_factor");
  const active = figure("server.active", "server.active.what", String(sum("active_requests")));
  active.lastChild.append(sparkline(courses.get(model) || []));
  const time = figure("server.first", "server.first.what", "–");
  if (!Number.isNaN(first)) showTime(time.lastChild, first);
  return make(
    "dl",
    { className: "figures" },
    active,
    figure("server.requests", "server.requests.what", String(sum("requests_total", { status: "ok" }))),
    figure("server.failed", "server.failed.what", String(sum("requests_total", { status: "failed" }))),
    time,
    figure("figure.rtf", "server.rtf.what", Number.isNaN(rtf) ? "–" : rtf.toFixed(3)),
  );
}

function figure(name, what, value) {
  const element = make("div", {}, say("dt", name), make("dd", {}, value));
  label(element, "title", what);
  return element;
}

function sparkline(values) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", `0 0 ${KEPT} 14`);
  svg.setAttribute("aria-hidden", "true");
  const line = document.createElementNS(svg.namespaceURI, "polyline");
  const top = Math.max(1, ...values);
  const points = (values.length === 1 ? [values[0], values[0]] : values).map((value, i, all) => `${KEPT - all.length + i},${13 - (12 * value) / top}`);
  line.setAttribute("points", points.join(" "));
  svg.append(line);
  return svg;
}

function drawVoices(use) {
  by("no-voices").hidden = voices.length > 0;
  by("voices").replaceChildren(...voices.map((voice) => voiceLine(voice, use)));
  items(by("voices"));
  mark();
}

function voiceLine(voice, use) {
  const hear = make("button", { type: "button", className: "hear", disabled: !voice.preview_url });
  hear.dataset.preview = voice.preview_url || "";
  if (voice.preview_url) label(hear, "aria-label", "server.preview", voice.name);
  else label(hear, "title", "server.nopreview");
  hear.addEventListener("click", () => toggle(voice.preview_url));
  const what = make("span", { className: "muted" }, describe(voice));
  const choose = say("button", "server.use");
  choose.type = "button";
  label(choose, "aria-label", "server.useof", voice.name);
  choose.addEventListener("click", () => use(voice));
  return make("li", { className: "row" }, hear, make("strong", {}, voice.name), what, choose);
}

/** "heart · American English · female", in the page's language. */
export function describe({ language, gender, model }) {
  const words = [languageName(language), known(`gender.${gender}`) ? t(`gender.${gender}`) : gender];
  return [...words.filter(Boolean), model].join(" · ");
}

/** Play the preview at an address, or stop it. The API key travels in a header, so it is fetched first. */
async function toggle(address) {
  const again = previewed === address && !preview.paused;
  halt();
  if (again) return;
  previewed = address;
  try {
    const blob = await (await ask(address)).blob();
    if (previewed !== address) return; // another was chosen while this one came
    URL.revokeObjectURL(preview.src);
    preview.src = URL.createObjectURL(blob);
    sounds("preview");
    await preview.play();
    mark();
  } catch (error) {
    if (error.name !== "AbortError") showPlain(by("server-error"), error.message);
  }
}

/** Stop the preview. */
export function halt() {
  preview.pause();
  previewed = "";
}

function mark() {
  for (const button of by("voices").querySelectorAll(".hear")) {
    button.classList.toggle("live", !preview.paused && button.dataset.preview === previewed);
  }
}

/** Fill a select with the models of a task. → whether there are any */
export function offerModels(select, models, task) {
  const able = models.filter((model) => model.task === task);
  const first = !select.value; // nobody has chosen yet: one that knows the page's language
  options(select, able.map(({ id }) => ({ value: id, text: id })));
  if (first) select.value = (able.find(({ languages }) => languages?.some(ours)) || able[0])?.id ?? "";
  return able.length > 0;
}
