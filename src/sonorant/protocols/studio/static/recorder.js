// The microphone, recorded by the browser in the format that it likes best.

import { t } from "./language.js";

const LONGEST = 60 * 60; // seconds
const TYPES = ["audio/webm;codecs=opus", "audio/mp4", "audio/ogg;codecs=opus"];

export class Recorder {
  #recorder = null;
  #context = null;
  #finished = null;

  get active() {
    return this.#recorder !== null;
  }

  /** Open the microphone and begin. `tick(seconds, level 0 … 1)` is called with every picture. */
  async start(tick) {
    if (!navigator.mediaDevices) throw new Error(t("hear.insecure"));
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1 } });
    } catch (error) {
      throw new Error(t("hear.nomicrophone", error.message), { cause: error });
    }
    const mimeType = TYPES.find((type) => MediaRecorder.isTypeSupported(type));
    const recorder = (this.#recorder = new MediaRecorder(stream, { mimeType }));
    const pieces = [];
    recorder.addEventListener("dataavailable", ({ data }) => pieces.push(data));
    this.#finished = new Promise((finished) => {
      recorder.addEventListener("stop", () => {
        for (const track of stream.getTracks()) track.stop();
        this.#context.close();
        this.#recorder = null;
        const [kind] = recorder.mimeType.split(";");
        finished(new File(pieces, `recording.${kind.split("/")[1]}`, { type: kind }));
      });
    });
    recorder.start();
    this.#watch(stream, tick);
  }

  #watch(stream, tick) {
    const recorder = this.#recorder;
    this.#context = new AudioContext();
    const analyser = this.#context.createAnalyser();
    this.#context.createMediaStreamSource(stream).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    const began = performance.now();
    const look = () => {
      if (this.#recorder !== recorder) return;
      const seconds = (performance.now() - began) / 1000;
      analyser.getFloatTimeDomainData(samples);
      tick(seconds, Math.max(...samples.map(Math.abs)));
      if (seconds > LONGEST) this.stop();
      else requestAnimationFrame(look);
    };
    look();
  }

  /** The end of the recording, however it comes: a File. */
  get finished() {
    return this.#finished;
  }

  stop() {
    if (this.#recorder?.state === "recording") this.#recorder.stop();
  }
}
