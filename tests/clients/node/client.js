// All that OpenAI's Node SDK asks of an audio server; prints as JSON what it got. Arguments: URL, TEXT.
// It reads hello.wav, and leaves speech.FORMAT, body.wav and events.wav in the working folder.

import { createReadStream } from "node:fs";
import { writeFile } from "node:fs/promises";
import OpenAI, { BadRequestError, NotFoundError } from "openai";

const [, baseURL, input] = process.argv;
const client = new OpenAI({ baseURL, apiKey: "none", maxRetries: 0 });
const spoken = (fields) =>
  client.audio.speech.create({ model: "tts-1", voice: "alloy", input, response_format: "wav", ...fields });
const heard = (fields) =>
  client.audio.transcriptions.create({ model: "whisper-1", file: createReadStream("hello.wav"), ...fields });
const said = {};

said.types = {};
for (const response_format of ["mp3", "opus", "aac", "flac", "wav", "pcm"]) {
  const response = await spoken({ response_format });
  said.types[response_format] = response.headers.get("content-type");
  await writeFile(`speech.${response_format}`, Buffer.from(await response.arrayBuffer()));
}

const pieces = [];
for await (const piece of (await spoken({})).body) pieces.push(piece);
said.pieces = pieces.length;
await writeFile("body.wav", Buffer.concat(pieces));

const events = (await (await spoken({ model: "gpt-4o-mini-tts", stream_format: "sse" })).text())
  .split("\n\n").filter(Boolean).map((event) => JSON.parse(event.slice("data: ".length)));
said.events = [...new Set(events.map(({ type }) => type))];
await writeFile("events.wav", Buffer.concat(events.map(({ audio }) => Buffer.from(audio ?? "", "base64"))));

said.transcripts = {};
for (const response_format of ["json", "text", "srt", "vtt", "verbose_json"])
  said.transcripts[response_format] = await heard({ response_format });
said.stream = [];
for await (const event of await heard({ model: "gpt-4o-transcribe", stream: true })) said.stream.push(event);
said.hinted = await heard({ model: "gpt-transcribe", languages: ["en"], keywords: ["rain"] });

said.models = [];
for await (const model of client.models.list()) said.models.push(model.id);
said.model = (await client.models.retrieve("tts-1")).id;

const refused = async (work, kind) => {
  try {
    await work();
  } catch (error) {
    const { status, param, code, message, requestID } = error;
    return { kind: error instanceof kind, status, param, code, message, id: Boolean(requestID) };
  }
};
said.refused = {
  voice: await refused(() => spoken({ voice: "nobody" }), BadRequestError),
  model: await refused(() => spoken({ model: "gpt-9" }), NotFoundError),
  language: await refused(() => heard({ model: "gpt-transcribe", languages: ["xx"] }), BadRequestError),
};

console.log(JSON.stringify(said));
