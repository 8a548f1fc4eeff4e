// The spectrogram of a take as a bitmap, a column a pixel, computed a few columns at a time.

import { Spectrum } from "./fft.js";

const SIZE = 1024; // samples in a window: 43 ms at 24 kHz
const QUIET = -95; // dB of full scale: the colour map's ends
const LOUD = -20;
const COLUMNS = 160; // at a time, so that no frame is late

export const mel = (hertz) => 2595 * Math.log10(1 + hertz / 700); // O'Shaughnessy 1987
const hertz = (mels) => 700 * (10 ** (mels / 2595) - 1);

export class Spectrogram {
  #spectrum = new Spectrum(SIZE);
  #samples = new Float32Array(SIZE);
  #bitmap = document.createElement("canvas");
  #drawn = 0; // columns
  #shape = ""; // what the columns hold for

  /** Bring the bitmap of `take` up to date: `width` pixels hold `seconds`. → canvas, columns drawn, done */
  update(take, seconds, width, height, palette) {
    const shape = [seconds, width, height, palette.key].join();
    if (shape !== this.#shape || this.take !== take) {
      this.#shape = shape;
      this.take = take;
      this.#drawn = 0;
      this.#bitmap.width = width;
      this.#bitmap.height = height;
      this.#rows(take.rate, height);
    }
    const last = Math.min(width, Math.floor((take.seconds / seconds) * width));
    const count = Math.min(last - this.#drawn, COLUMNS);
    if (count > 0) this.#draw(take, count, seconds / width, height, palette.colours);
    return { bitmap: this.#bitmap, drawn: this.#drawn, done: this.#drawn >= last };
  }

  /** Which bins each row of pixels shows: equal steps in mel, the highest frequency on top. */
  #rows(rate, height) {
    const top = mel(rate / 2);
    this.edges = Array.from({ length: height + 1 }, (_, row) => (hertz((top * row) / height) / rate) * SIZE);
  }

  #draw(take, count, secondsPerColumn, height, colours) {
    const image = new ImageData(count, height);
    const pixels = new Uint32Array(image.data.buffer);
    for (let x = 0; x < count; x++) {
      const centre = Math.round((this.#drawn + x + 0.5) * secondsPerColumn * take.rate);
      const levels = this.#spectrum.of(take.read(centre - SIZE / 2, this.#samples));
      for (let row = 0; row < height; row++) {
        const level = this.#level(levels, this.edges[row], this.edges[row + 1]);
        const shade = Math.round((255 * (level - QUIET)) / (LOUD - QUIET));
        pixels[(height - 1 - row) * count + x] = colours[Math.max(0, Math.min(255, shade))];
      }
    }
    this.#bitmap.getContext("2d").putImageData(image, this.#drawn, 0);
    this.#drawn += count;
  }

  /** The loudest bin between two edges, or between two bins what lies in line with them. */
  #level(levels, from, to) {
    if (to - from < 1) {
      const at = Math.min((from + to) / 2, levels.length - 1.001);
      const below = Math.floor(at);
      return levels[below] + (at - below) * (levels[below + 1] - levels[below]);
    }
    let loudest = -Infinity;
    for (let bin = Math.floor(from); bin < to && bin < levels.length; bin++) {
      loudest = Math.max(loudest, levels[bin]);
    }
    return loudest;
  }
}

/** 256 colours along the stops of a CSS list "#rrggbb #rrggbb …", as pixels in memory (ABGR). */
export function palette(key) {
  const stops = key.trim().split(/\s+/).map((hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)));
  const colours = Uint32Array.from({ length: 256 }, (_, shade) => {
    const at = (shade / 255) * (stops.length - 1.000001);
    const [from, to] = [stops[Math.floor(at)], stops[Math.floor(at) + 1]];
    const [r, g, b] = from.map((value, i) => Math.round(value + (at % 1) * (to[i] - value)));
    return (255 << 24) | (b << 16) | (g << 8) | r;
  });
  return { key, colours };
}
