// One spoken text: its samples as they arrive, and what is measured on them.

const ONSET = 0.01; // of full scale, −40 dB: below this it is silence before the first sound
const FIRST_AUDIO = 0.1; // seconds past the onset that count as first audio
export const BLOCK = 48; // samples behind one pair of low and high

export class Take {
  constructor(rate) {
    this.rate = rate; // hertz
    this.length = 0; // samples so far
    this.complete = false;
    this.lows = []; // the lowest and the highest sample of each block, −1 … 1
    this.highs = [];
    this.peak = 0; // the largest of them without their signs
    this.onset = -1; // the first sample that can be heard
    this.samples = new Int16Array(rate * 8);
    this.words = []; // {word, start, end}: seconds from the start
  }

  get seconds() {
    return this.length / this.rate;
  }

  /** Whether so much has arrived that something can be heard. */
  get audible() {
    return this.onset >= 0 && this.length >= this.onset + FIRST_AUDIO * this.rate;
  }

  /** Take samples in, Int16Array. */
  append(piece) {
    if (this.length + piece.length > this.samples.length) {
      const larger = new Int16Array(Math.max(2 * this.samples.length, this.length + piece.length));
      larger.set(this.samples.subarray(0, this.length));
      this.samples = larger;
    }
    this.samples.set(piece, this.length);
    if (this.onset < 0) {
      const found = piece.findIndex((sample) => Math.abs(sample) > ONSET * 32768);
      if (found >= 0) this.onset = this.length + found;
    }
    this.length += piece.length;
    this.#measure();
  }

  #measure() {
    for (let end = (this.lows.length + 1) * BLOCK; end <= this.length; end += BLOCK) {
      let low = 32767;
      let high = -32768;
      for (let i = end - BLOCK; i < end; i++) {
        low = Math.min(low, this.samples[i]);
        high = Math.max(high, this.samples[i]);
      }
      this.lows.push(low / 32768);
      this.highs.push(high / 32768);
      this.peak = Math.max(this.peak, -low / 32768, high / 32768);
    }
  }

  /** Samples as floats, from any position; zeros where there are none. */
  read(start, out) {
    for (let i = 0; i < out.length; i++) {
      const at = start + i;
      out[i] = at >= 0 && at < this.length ? this.samples[at] / 32768 : 0;
    }
    return out;
  }
}

/** base64 of signed 16 bit little-endian samples → Int16Array. `rest` keeps half a sample for the next. */
export function decoder() {
  let rest = "";
  return (base64) => {
    const bytes = rest + atob(base64);
    const count = bytes.length >> 1;
    rest = bytes.slice(2 * count);
    const samples = new Int16Array(count);
    for (let i = 0; i < count; i++) {
      samples[i] = bytes.charCodeAt(2 * i) | (bytes.charCodeAt(2 * i + 1) << 8);
    }
    return samples;
  };
}
