// Joins the page's parts: language, API key, keyboard, and the three panels.

import { useKey } from "./api.js";
import { by, options } from "./dom.js";
import * as hear from "./hear.js";
import { known, language, languageName, ours, show, showPlain, speakLanguage, t, translate } from "./language.js";
import * as server from "./server.js";
import * as speak from "./speak.js";

let voices = [];

function listed(fresh) {
  voices = fresh.voices;
  const speaks = server.offerModels(by("speak-model"), fresh.models, "text-to-speech");
  const listens = server.offerModels(by("hear-model"), fresh.models, "speech-to-text");
  hear.offer(fresh.models.filter((model) => model.task === "speech-to-text"));
  by("go").disabled = by("download").disabled = !speaks;
  by("choose").disabled = by("record").disabled = !listens;
  if (fresh.models.length === 0) return;
  if (!speaks) show(by("speak-status"), "speak.none");
  if (!listens) show(by("hear-status"), "hear.none");
  offerVoices();
}

function offerVoices() {
  const own = voices.filter((voice) => voice.model === by("speak-model").value);
  const entries = own.map(({ id, name, language: tag, gender }) => {
    const kind = known(`gender.${gender}`) ? t(`gender.${gender}`) : gender;
    return { value: id, text: [name, kind].filter(Boolean).join(" · "), group: languageName(tag) };
  });
  const before = by("voice").value;
  options(by("voice"), entries);
  const fitting = own.find((voice) => ours(voice.language));
  if (by("voice").value !== before && fitting) by("voice").value = fitting.id;
  sample();
}

function sample() {
  speak.offerSample(voices.find((voice) => voice.id === by("voice").value)?.language);
}

function use(voice) {
  by("speak-model").value = voice.model;
  offerVoices();
  by("voice").value = voice.id;
  sample();
  by("text").focus();
}

function keyboard(event) {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !by("go").disabled) {
    event.preventDefault();
    by("speak-form").requestSubmit();
  } else if (event.key === "Escape") {
    speak.halt();
    hear.halt();
    server.halt();
  }
}

function keyField() {
  document.addEventListener("key-wanted", ({ detail }) => {
    by("key").hidden = false;
    showPlain(by("key-why"), detail);
  });
  by("key").addEventListener("submit", (event) => {
    event.preventDefault();
    useKey(by("key-value").value.trim());
    by("key").hidden = true;
    document.dispatchEvent(new Event("key-given"));
  });
}

translate();
by("language").value = language;
by("language").addEventListener("change", () => speakLanguage(by("language").value));
by("speak-model").addEventListener("change", offerVoices);
by("voice").addEventListener("change", sample);
document.addEventListener("keydown", keyboard);
keyField();
speak.start();
hear.start();
server.start({ changed: listed, use });
