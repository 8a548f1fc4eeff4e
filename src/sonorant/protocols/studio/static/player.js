// Plays a take while it arrives: pieces scheduled one right after the other on the audio clock.
// AudioBuffers and not an AudioWorklet, which browsers give only to https and localhost.

const LEAD = 0.02; // seconds between scheduling and sound, when nothing is playing yet
const QUANTUM = 0.006; // the audio thread is about so far ahead of the clock
const HORIZON = 10; // seconds scheduled ahead: bounds memory, and survives the slow timers of hidden tabs
const TICK = 100; // ms

export class Player extends EventTarget {
  take = null;
  playing = false;
  underruns = 0;
  #context = null;
  #pieces = []; // what is scheduled: {source, time, sample, count}
  #cursor = 0; // the next sample to schedule
  #next = 0; // when it is due, on the context's clock
  #from = 0; // where playback started, samples
  #timer = 0;

  /** Take over a new take and play it as it comes. Call it from a user's gesture. */
  open(take) {
    this.pause();
    this.take = take;
    this.underruns = 0;
    this.#from = 0;
    if (this.#context?.sampleRate !== take.rate) {
      this.#context?.close();
      this.#context = new AudioContext({ sampleRate: take.rate, latencyHint: "interactive" });
    }
    this.play(0);
  }

  /** Where the listener is, seconds from the start of the take. */
  get position() {
    if (!this.take) return 0;
    if (!this.playing) return this.#from / this.take.rate;
    const now = this.#context.currentTime - (this.#context.outputLatency || 0);
    const piece = this.#pieces.findLast(({ time }) => time <= now);
    if (!piece) return this.#from / this.take.rate;
    return Math.min(piece.sample / this.take.rate + now - piece.time, (piece.sample + piece.count) / this.take.rate);
  }

  /** Play from a second on. */
  play(seconds) {
    this.pause();
    this.#cursor = this.#from = this.#within(seconds);
    this.#next = 0;
    this.playing = true;
    this.#timer = setInterval(() => this.pump(), TICK);
    this.pump();
    this.dispatchEvent(new Event("change"));
  }

  /** Silence at once; the position stays. */
  pause() {
    if (!this.playing) return;
    this.#from = Math.round(this.position * this.take.rate);
    this.#halt();
  }

  /** Play on, from the start where the end has been reached; or pause. */
  toggle() {
    if (this.playing) this.pause();
    else this.play(this.take.complete && this.#from >= this.take.length ? 0 : this.position);
  }

  /** Move to a second, playing on if it plays. */
  seek(seconds) {
    if (this.playing) return this.play(seconds);
    this.#from = this.#within(seconds);
    this.dispatchEvent(new Event("change"));
  }

  #within(seconds) {
    return Math.max(0, Math.min(Math.round(seconds * this.take.rate), this.take.length));
  }

  /** Schedule what has arrived. To be called when samples have been appended. */
  pump() {
    if (!this.playing) return;
    const { take } = this;
    // asked again and again: a browser may obey an earlier suspend() late
    if (this.#context.state === "suspended") this.#context.resume();
    const now = this.#context.currentTime;
    if (this.#cursor < take.length) {
      if (this.#next < now + QUANTUM) {
        if (this.#next > 0) this.underruns += 1;
        // on a whole sample: anything else would make the browser interpolate between two
        this.#next = Math.ceil((now + LEAD) * take.rate) / take.rate;
      }
      while (this.#cursor < take.length && this.#next < now + HORIZON) this.#schedule();
    }
    while (this.#pieces.length > 1 && this.#pieces[1].time < now - 1) this.#pieces.shift();
    if (take.complete && this.#cursor >= take.length && now >= this.#next) {
      this.#from = take.length;
      this.#halt();
    }
  }

  #schedule() {
    const { take } = this;
    const count = Math.min(take.length - this.#cursor, take.rate);
    const buffer = this.#context.createBuffer(1, count, take.rate);
    take.read(this.#cursor, buffer.getChannelData(0));
    const source = this.#context.createBufferSource();
    source.buffer = buffer;
    source.connect(this.#context.destination);
    source.start(this.#next);
    this.#pieces.push({ source, time: this.#next, sample: this.#cursor, count });
    this.#cursor += count;
    this.#next += count / take.rate;
  }

  #halt() {
    clearInterval(this.#timer);
    this.playing = false;
    for (const { source } of this.#pieces) source.stop();
    this.#pieces = [];
    this.#context.suspend();
    this.dispatchEvent(new Event("change"));
  }
}
