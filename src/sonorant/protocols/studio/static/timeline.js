// A take on one time axis: waveform, word tier, spectrogram, playhead. It is also the slider that seeks.

import { tick } from "./clock.js";
import { label, t } from "./language.js";
import { Spectrogram, mel, palette } from "./spectrogram.js";
import { BLOCK } from "./take.js";

const WAVE = 96; // heights in CSS pixels
const TIER = 20; // of the words, where they have times
const AXIS = 18;
const SPANS = [4, 8, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 86400]; // seconds shown, while it grows
const TICKS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 600, 1800, 3600];
const FAINTEST = 0.1; // the peak that still fills the height: nearer to silence nothing is magnified
const CALM = 500; // ms between pictures where the user wants reduced motion

export class Timeline {
  #spectrogram = new Spectrogram();
  #still = matchMedia("(prefers-reduced-motion: reduce)");
  #asked = 0;
  #latest = 0;

  /** `moved(seconds)`: called with the listener's position at every picture. */
  constructor(canvas, player, moved) {
    Object.assign(this, { canvas, player, moved });
    this.context = canvas.getContext("2d");
    new ResizeObserver(() => this.#resize()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#resize());
    player.addEventListener("change", () => this.draw());
    document.addEventListener("translated", () => this.draw());
    canvas.addEventListener("pointerdown", (event) => this.#point(event));
    canvas.addEventListener("pointermove", (event) => event.buttons & 1 && this.#point(event));
    canvas.addEventListener("keydown", (event) => this.#key(event));
  }

  /** Draw soon; while something plays or grows the pictures follow one another. */
  draw() {
    this.#asked ||= requestAnimationFrame((now) => {
      this.#asked = 0;
      if (this.#still.matches && this.player.playing && now - this.#latest < CALM) return this.draw();
      this.#latest = now;
      this.#picture();
    });
  }

  #resize() {
    const { canvas } = this;
    const ratio = devicePixelRatio || 1;
    canvas.width = Math.round(canvas.clientWidth * ratio);
    canvas.height = Math.round(canvas.clientHeight * ratio);
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
    const style = getComputedStyle(canvas);
    this.colours = Object.fromEntries(
      ["ground", "line", "muted", "text", "accent", "dim", "veil", "on-accent"].map((name) => [name, style.getPropertyValue(`--${name}`)]),
    );
    this.palette = palette(style.getPropertyValue("--spectrum"));
    this.font = `11px ${style.fontFamily}`;
    this.draw();
  }

  get #seconds() {
    const { take } = this.player;
    return take.complete ? Math.max(take.seconds, 0.1) : SPANS.find((span) => span >= take.seconds) || take.seconds;
  }

  /** Where the waveform and the words end. */
  get #below() {
    return WAVE + (this.player.take.words.length ? TIER : 0);
  }

  #picture() {
    const { canvas, context, player, colours } = this;
    if (!colours || !canvas.clientWidth) return;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    context.fillStyle = colours.ground;
    context.fillRect(0, 0, width, height);
    context.font = this.font;
    context.textBaseline = "middle";
    if (!player.take) return this.#empty(width, height);
    const seconds = this.#seconds;
    const at = player.position;
    const scale = width / seconds;
    this.#wave(width, scale, at);
    this.#tier(scale, at);
    this.#axis(width, seconds, scale);
    const done = this.#spectra(width, height, seconds, at * scale);
    context.fillStyle = colours.text;
    context.fillRect(Math.round(at * scale), 0, 1, height);
    this.#tell(at);
    this.moved(at);
    if (player.playing || !done) this.draw();
  }

  #empty(width, height) {
    const { context, colours } = this;
    context.fillStyle = colours.line;
    context.fillRect(0, WAVE / 2, width, 1);
    context.fillStyle = colours.muted;
    context.textAlign = "center";
    context.fillText(t("timeline.empty"), width / 2, height / 2 + 10, width - 24);
  }

  #wave(width, scale, at) {
    const { context, colours, player: { take } } = this;
    const perPixel = take.rate / BLOCK / scale;
    const middle = WAVE / 2;
    const gain = (middle - 4) / Math.max(take.peak, FAINTEST);
    const end = Math.min(width, take.seconds * scale);
    for (let x = 0; x < end; x++) {
      const from = Math.floor(x * perPixel);
      const to = Math.max(from + 1, Math.floor((x + 1) * perPixel));
      let low = 0;
      let high = 0;
      for (let block = from; block < to && block < take.lows.length; block++) {
        low = Math.min(low, take.lows[block]);
        high = Math.max(high, take.highs[block]);
      }
      context.fillStyle = x <= at * scale ? colours.accent : colours.dim;
      context.fillRect(x, middle - high * gain, 1, Math.max(1, (high - low) * gain));
    }
  }

  #tier(scale, at) {
    const { context, colours, player: { take } } = this;
    context.textAlign = "center";
    for (const { word, start, end } of take.words) {
      const [x, width] = [start * scale, (end - start) * scale];
      const lit = at >= start && at < end && this.player.playing;
      context.fillStyle = lit ? colours.accent : colours.line;
      context.fillRect(x, WAVE, lit ? width : 1, TIER);
      if (width < 10 || context.measureText(word).width > width - 2) continue;
      context.fillStyle = lit ? colours["on-accent"] : colours.muted;
      context.fillText(word, x + width / 2, WAVE + TIER / 2 + 1);
    }
  }

  #axis(width, seconds, scale) {
    const { context, colours } = this;
    const step = TICKS.find((seconds) => seconds * scale >= 56) || TICKS.at(-1);
    const top = this.#below;
    context.fillStyle = colours.line;
    context.fillRect(0, top, width, 1);
    context.textAlign = "left";
    for (let mark = 0; mark * step < seconds; mark++) {
      const x = mark * step * scale;
      context.fillStyle = colours.line;
      context.fillRect(Math.round(x), top, 1, 6);
      context.fillStyle = colours.muted;
      if (x + 30 < width) context.fillText(tick(mark * step, step < 1 ? 1 : 0), x + 4, top + AXIS / 2 + 1);
    }
  }

  #spectra(width, height, seconds, playhead) {
    const { context, colours, player: { take } } = this;
    const top = this.#below + AXIS;
    const rows = height - top;
    const { bitmap, drawn, done } = this.#spectrogram.update(take, seconds, width, rows, this.palette);
    context.drawImage(bitmap, 0, top);
    context.fillStyle = colours.veil; // not heard yet
    context.fillRect(playhead, top, Math.max(0, drawn - playhead), rows);
    context.textAlign = "right";
    let above = -Infinity; // of the last label
    for (const hertz of [8000, 4000, 2000, 1000, 500].filter((f) => f < take.rate / 2)) {
      const y = top + rows * (1 - mel(hertz) / mel(take.rate / 2));
      if (y - above < 14) continue;
      above = y;
      const text = hertz < 1000 ? `${hertz} Hz` : `${hertz / 1000} kHz`;
      const wide = context.measureText(text).width;
      context.fillStyle = colours.ground;
      context.globalAlpha = 0.72;
      context.fillRect(width - wide - 8, y - 7, wide + 8, 14);
      context.globalAlpha = 1;
      context.fillStyle = colours.muted;
      context.fillText(text, width - 4, y + 1);
    }
    return done;
  }

  #tell(at) {
    const { canvas, player: { take, playing } } = this;
    const [now, end] = [(playing ? Math.floor(at) : at).toFixed(1), take.seconds.toFixed(1)];
    canvas.setAttribute("aria-valuemax", end);
    canvas.setAttribute("aria-valuenow", now); // while it plays once a second: it may be read out
    label(canvas, "aria-valuetext", "timeline.at", now, end);
  }

  #point(event) {
    if (!this.player.take) return;
    const { left, width } = this.canvas.getBoundingClientRect();
    this.player.play(((event.clientX - left) / width) * this.#seconds);
  }

  #key(event) {
    const { player } = this;
    if (!player.take || event.ctrlKey || event.altKey || event.metaKey) return;
    const step = Math.max(0.5, player.take.seconds / 50);
    const goals = {
      ArrowLeft: player.position - step,
      ArrowDown: player.position - step,
      ArrowRight: player.position + step,
      ArrowUp: player.position + step,
      Home: 0,
      End: player.take.seconds,
    };
    if (event.key === " ") player.toggle();
    else if (event.key in goals) player.seek(goals[event.key]);
    else return;
    event.preventDefault();
  }
}
