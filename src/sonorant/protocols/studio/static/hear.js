// Speech to text: a file or the microphone in, a transcript with times out, played from any of them.

import { ask } from "./api.js";
import { showTime, stamp } from "./clock.js";
import { by, make, options } from "./dom.js";
import { language, languageName, show, showPlain, t } from "./language.js";
import { Recorder } from "./recorder.js";
import { items, rove } from "./roving.js";
import { joins, sounds } from "./sound.js";
import { Lights, TimedText } from "./words.js";

const PATH = "v1/audio/transcriptions";

const recorder = new Recorder();
const audio = by("recording");
const lines = new Lights(by("transcript"), "line");
const words = new Lights(by("transcript"), "word");
let running = null; // AbortController of what is being transcribed
let discard = false; // the recording that runs is not wanted
let models = []; // those that listen

/** Which models listen, and what each of them can. */
export function offer(listening) {
  models = listening;
  offerLanguages();
}

const chosen = () => models.find(({ id }) => id === by("hear-model").value);

/** The languages of the chosen model, and to detect it where there are several. */
function offerLanguages() {
  const only = by("hear-language").options.length === 1; // then it was not the user who chose it
  const known = (chosen()?.languages || []).map((tag) => ({ value: tag, text: languageName(tag) }));
  known.sort((one, other) => one.text.localeCompare(other.text, language));
  options(by("hear-language"), known.length === 1 ? known : [{ value: "", text: t("hear.detect") }, ...known]);
  if (only) by("hear-language").selectedIndex = 0;
}

/** Send a recording and show what it says. */
async function transcribe(file) {
  running?.abort();
  const mine = (running = new AbortController());
  begin(file);
  const began = performance.now();
  try {
    const answer = await ask(PATH, { method: "POST", body: form(file), signal: mine.signal });
    const transcript = await answer.json();
    measure(transcript, (performance.now() - began) / 1000);
    write(transcript, file.name);
  } catch (error) {
    if (running !== mine) return;
    showPlain(by("hear-status"), "");
    if (error.name === "AbortError") show(by("hear-status"), "hear.cancelled");
    else showPlain(by("hear-error"), error.message);
  } finally {
    if (running === mine) running = null;
    buttons();
  }
}

function form(file) {
  const fields = new FormData();
  fields.append("model", by("hear-model").value);
  fields.append("response_format", "verbose_json");
  fields.append("timestamp_granularities[]", "segment");
  if (chosen()?.word_times) fields.append("timestamp_granularities[]", "word");
  if (by("hear-language").value) fields.append("language", by("hear-language").value);
  fields.append("itn", by("itn").checked);
  fields.append("file", file, file.name);
  return fields;
}

function begin(file) {
  showPlain(by("hear-error"), "");
  show(by("hear-status"), "hear.working", file.name);
  for (const id of ["took", "hear-rtf", "heard", "heard-language"]) showPlain(by(id), "–");
  by("transcript").replaceChildren();
  by("transcript-empty").hidden = true;
  by("unplayable").hidden = true;
  if (audio.src) URL.revokeObjectURL(audio.src);
  audio.src = URL.createObjectURL(file);
  audio.hidden = false;
  buttons();
}

function measure(transcript, seconds) {
  showTime(by("took"), seconds);
  show(by("heard"), "unit.s", transcript.duration.toFixed(2));
  showPlain(by("hear-rtf"), (seconds / transcript.duration).toFixed(3));
  by("heard-language").dataset.tag = transcript.language;
  nameLanguage();
}

/** OpenAI's interface names languages in English: "chinese". Show their names in the page's language. */
function nameLanguage() {
  const english = by("heard-language").dataset.tag;
  if (!english) return;
  const names = new Intl.DisplayNames(["en"], { type: "language" });
  const tags = ["zh", "en", "yue", "ja", "ko", "de", "fr", "es", "it", "pt", "nl", "pl", "ru", "hi", "ar", "tr", "vi"];
  const tag = tags.find((one) => names.of(one).toLowerCase() === english.toLowerCase());
  showPlain(by("heard-language"), tag ? languageName(tag) : english);
}

function write({ segments, words: spoken = [] }, name) {
  const list = by("transcript");
  if (segments.length === 0) show(by("hear-status"), "hear.nothing", name);
  else show(by("hear-status"), "hear.done", segments.length);
  let next = 0;
  for (const segment of segments) {
    const text = make("p");
    const time = make("button", { type: "button", tabIndex: -1 }, stamp(segment.start));
    time.addEventListener("click", () => hear(segment.start));
    const line = make("li", { className: "line" }, time, text);
    Object.assign(line.dataset, { start: segment.start, end: segment.end });
    list.append(line);
    const timed = new TimedText(text, segment.text.trim(), hear);
    const first = next;
    while (next < spoken.length && spoken[next].start < segment.end) next += 1;
    timed.add(spoken.slice(first, next));
    timed.finish();
    text.addEventListener("click", (event) => event.target.closest(".word") || hear(segment.start));
  }
  items(list);
  follow();
}

/** Play the recording from a second on. */
async function hear(second) {
  audio.currentTime = second;
  try {
    await audio.play();
  } catch (error) {
    if (error.name !== "AbortError") by("unplayable").hidden = false;
  }
}

function follow() {
  lines.at(audio.currentTime, !audio.paused);
  words.at(audio.currentTime, !audio.paused);
  if (!audio.paused) requestAnimationFrame(follow);
}

async function record() {
  if (recorder.active) return recorder.stop();
  halt();
  showPlain(by("hear-error"), "");
  discard = false;
  try {
    await recorder.start((seconds, level) => {
      by("level").value = level;
      showPlain(by("recorded"), stamp(seconds));
    });
  } catch (error) {
    showPlain(by("hear-error"), error.message);
    return;
  }
  sounds("recorder"); // it would be recorded
  show(by("hear-status"), "hear.recording");
  buttons();
  const file = await recorder.finished;
  buttons();
  if (discard) show(by("hear-status"), "hear.cancelled");
  else await transcribe(file);
}

/** Stop recording without a transcript, stop waiting for one, stop playing. */
export function halt() {
  discard = true;
  recorder.stop();
  running?.abort();
  audio.pause();
}

function buttons() {
  by("recorder").hidden = !recorder.active;
  by("hear-cancel").disabled = !recorder.active && !running;
  by("record").classList.toggle("live", recorder.active);
  show(by("record"), recorder.active ? "hear.finish" : "hear.record");
}

function drop() {
  const zone = by("hear");
  const over = (event) => {
    if (![...event.dataTransfer.types].includes("Files")) return;
    event.preventDefault();
    zone.classList.add("over");
  };
  zone.addEventListener("dragenter", over);
  zone.addEventListener("dragover", over);
  zone.addEventListener("dragleave", (event) => {
    if (!zone.contains(event.relatedTarget)) zone.classList.remove("over");
  });
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    zone.classList.remove("over");
    if (event.dataTransfer.files.length) transcribe(event.dataTransfer.files[0]);
  });
}

/** Wire the panel up. */
export function start() {
  rove(by("transcript"));
  drop();
  by("choose").addEventListener("click", () => by("file").click());
  by("file").addEventListener("change", () => {
    if (by("file").files.length) transcribe(by("file").files[0]);
    by("file").value = ""; // the same file may be chosen again
  });
  by("record").addEventListener("click", record);
  by("hear-cancel").addEventListener("click", halt);
  joins("hear", () => audio.pause());
  audio.addEventListener("play", () => {
    sounds("hear");
    follow();
  });
  audio.addEventListener("seeked", follow);
  audio.addEventListener("error", () => {
    by("unplayable").hidden = false;
  });
  by("hear-model").addEventListener("change", offerLanguages);
  document.addEventListener("translated", nameLanguage);
  buttons();
}
