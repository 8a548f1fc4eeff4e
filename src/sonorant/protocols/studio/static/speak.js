// Text to speech: what is asked, heard while it arrives, measured and saved.

import { events, post } from "./api.js";
import { showTime, stamp } from "./clock.js";
import { by } from "./dom.js";
import { label, language, show, showPlain } from "./language.js";
import { Player } from "./player.js";
import { rove } from "./roving.js";
import { joins, sounds } from "./sound.js";
import { SAMPLES } from "./strings.js";
import { Take, decoder } from "./take.js";
import { Timeline } from "./timeline.js";
import { Lights, TimedText } from "./words.js";

const PATH = "v1/audio/speech";
const RATE = 24000; // what pcm means in OpenAI's interface

const player = new Player();
const lights = new Lights(by("spoken-text"), "word");
const timeline = new Timeline(by("timeline"), player, (seconds) => {
  lights.at(seconds, player.playing);
  showPlain(by("underruns"), String(player.underruns));
  showPlain(by("clock"), `${stamp(seconds)} / ${stamp(player.take.seconds)}`);
});
let running = null; // AbortController of what is being fetched
let seed = 0; // of the take: the file that is saved is what was heard
let sample = ""; // the text that the page has put there itself

function asked() {
  return {
    model: by("speak-model").value,
    voice: by("voice").value,
    input: by("text").value,
    speed: Number(by("speed").value),
    seed,
  };
}

/** Ask for the text and play it while it arrives. */
async function speak() {
  halt();
  const mine = (running = new AbortController());
  seed = Math.floor(Math.random() * 2 ** 31);
  const take = new Take(RATE);
  begin();
  try {
    player.open(take);
    await receive(take, mine.signal);
    if (running === mine) show(by("speak-status"), "speak.done");
  } catch (error) {
    if (running !== mine) return; // a newer request has the word
    if (error.name !== "AbortError") showPlain(by("speak-error"), error.message);
    show(by("speak-status"), "speak.stopped");
  } finally {
    take.complete = true;
    player.pump();
    if (running === mine) running = null;
    buttons();
    timeline.draw();
  }
}

function begin() {
  showPlain(by("speak-error"), "");
  show(by("speak-status"), "speak.asking");
  for (const id of ["ttfa", "rtf", "length", "underruns"]) showPlain(by(id), "–");
  by("spoken-words").hidden = by("spoken-none").hidden = true;
  buttons();
}

async function receive(take, signal) {
  const began = performance.now();
  const elapsed = () => (performance.now() - began) / 1000;
  const body = asked();
  const format = { response_format: "pcm", stream_format: "sse", timestamp_granularities: ["word"] };
  const response = await post(PATH, { ...body, ...format }, signal);
  const text = new TimedText(by("spoken-text"), body.input, (second) => player.play(second));
  const decode = decoder();
  let audible = false;
  for await (const event of events(response)) {
    if (event.type === "speech.audio.words") {
      take.words.push(...event.words);
      text.add(event.words);
      by("spoken-words").hidden = false;
    } else if (event.type === "speech.audio.delta") {
      take.append(decode(event.audio));
      player.pump();
      if (!audible && take.audible) {
        audible = true;
        showTime(by("ttfa"), elapsed());
        show(by("speak-status"), "speak.streaming");
        buttons();
      }
    }
    show(by("length"), "unit.s", take.seconds.toFixed(2));
    timeline.draw();
  }
  text.finish();
  showPlain(by("rtf"), (elapsed() / take.seconds).toFixed(3));
  by("spoken-words").hidden = take.words.length === 0;
  by("spoken-none").hidden = take.words.length > 0;
}

/** Stop asking and playing. */
export function halt() {
  running?.abort();
  player.pause();
}

/** Save the text in the chosen format, spoken with the seed of the take. */
async function download() {
  const format = by("format").value;
  const mine = (running ??= new AbortController());
  showPlain(by("speak-error"), "");
  show(by("speak-status"), "speak.writing", format);
  buttons();
  try {
    const response = await post(PATH, { ...asked(), response_format: format }, mine.signal);
    const blob = await response.blob();
    save(format === "wav" ? await sized(blob) : blob, `speech.${format}`);
    show(by("speak-status"), "speak.written", `speech.${format}`);
  } catch (error) {
    if (error.name !== "AbortError") showPlain(by("speak-error"), error.message);
    show(by("speak-status"), "speak.stopped");
  } finally {
    if (running === mine) running = null;
    buttons();
  }
}

/** A streamed wav with its lengths filled in: when it began they were not known. */
async function sized(blob) {
  const bytes = new DataView(await blob.arrayBuffer());
  bytes.setUint32(4, bytes.byteLength - 8, true);
  for (let at = 12; at + 8 <= bytes.byteLength; at += 8 + bytes.getUint32(at + 4, true)) {
    if (bytes.getUint32(at) !== 0x64617461) continue; // "data"
    bytes.setUint32(at + 4, bytes.byteLength - at - 8, true);
    break;
  }
  return new Blob([bytes], { type: blob.type });
}

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

function buttons() {
  by("stop").disabled = !running && !player.playing;
  by("play").disabled = !player.take || player.take.length === 0;
  by("download").disabled = running !== null;
  show(by("play"), player.playing ? "speak.pause" : "speak.play");
}

function count() {
  show(by("characters"), "speak.characters", [...by("text").value].length);
}

/** Where nobody has typed, a text that the voice can speak. */
export function offerSample(voiceLanguage) {
  if (by("text").value !== sample) return;
  sample = SAMPLES[(voiceLanguage || language).split("-")[0]] || "";
  by("text").value = sample;
  count();
}

/** Wire the panel up. */
export function start() {
  rove(by("spoken-text"));
  by("speak-form").addEventListener("submit", (event) => {
    event.preventDefault();
    speak();
  });
  by("stop").addEventListener("click", halt);
  by("play").addEventListener("click", () => player.toggle());
  by("download").addEventListener("click", download);
  by("text").addEventListener("input", count);
  by("speed").addEventListener("input", () => {
    const said = `${Number(by("speed").value).toFixed(2)} ×`;
    by("speed-value").value = said;
    by("speed").setAttribute("aria-valuetext", said);
  });
  joins("speak", () => player.pause());
  player.addEventListener("change", () => {
    if (player.playing) sounds("speak");
    buttons();
  });
  label(by("timeline"), "aria-valuetext", "timeline.at", "0.0", "0.0");
  count();
}
