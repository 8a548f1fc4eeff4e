// Short-time spectra: radix-2 FFT (Cooley and Tukey) of Hann-windowed samples.

export class Spectrum {
  /** `size`: samples in a window, a power of two. */
  constructor(size) {
    this.size = size;
    this.window = Float32Array.from({ length: size }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / size));
    this.cos = Float32Array.from({ length: size / 2 }, (_, i) => Math.cos((2 * Math.PI * i) / size));
    this.sin = Float32Array.from({ length: size / 2 }, (_, i) => -Math.sin((2 * Math.PI * i) / size));
    const bits = Math.log2(size);
    this.order = Uint16Array.from({ length: size }, (_, i) => {
      let reversed = 0;
      for (let bit = 0; bit < bits; bit++) reversed |= ((i >> bit) & 1) << (bits - 1 - bit);
      return reversed;
    });
    this.re = new Float32Array(size);
    this.im = new Float32Array(size);
    this.levels = new Float32Array(size / 2);
  }

  /** `size` samples in −1 … 1 → levels of the bins 0 … size/2 − 1, dB of full scale. One array, used again. */
  of(samples) {
    const { size, re, im, order } = this;
    for (let i = 0; i < size; i++) {
      re[i] = samples[order[i]] * this.window[order[i]];
      im[i] = 0;
    }
    for (let half = 1; half < size; half *= 2) this.#butterflies(half, size / (2 * half));
    const scale = 16 / (size * size); // a full-scale sine is 0 dB: 2 / (size / 2), squared
    for (let i = 0; i < size / 2; i++) {
      this.levels[i] = 10 * Math.log10(scale * (re[i] * re[i] + im[i] * im[i]) + 1e-12);
    }
    return this.levels;
  }

  #butterflies(half, step) {
    const { size, re, im, cos, sin } = this;
    for (let start = 0; start < size; start += 2 * half) {
      for (let i = 0; i < half; i++) {
        const a = start + i;
        const b = a + half;
        const c = cos[i * step];
        const s = sin[i * step];
        const x = re[b] * c - im[b] * s;
        const y = re[b] * s + im[b] * c;
        re[b] = re[a] - x;
        im[b] = im[a] - y;
        re[a] += x;
        im[a] += y;
      }
    }
  }
}
