// Prometheus' text format, as much of it as the page reads.

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

/** Text → look(name, labels): the sum of the samples that carry these labels, 0 where there are none. */
export function parsed(text) {
  const samples = new Map();
  for (const line of text.split("\n")) {
    const found = line.match(LINE);
    if (!found) continue;
    const [, name, labels = "", value] = found;
    if (!samples.has(name)) samples.set(name, []);
    const pairs = [...labels.matchAll(LABEL)].map(([, key, quoted]) => [key, quoted.replace(/\\(.)/g, "$1")]);
    samples.get(name).push({ labels: Object.fromEntries(pairs), value: Number(value) });
  }
  return (name, wanted) =>
    (samples.get(name) || [])
      .filter(({ labels }) => Object.entries(wanted).every(([key, value]) => labels[key] === value))
      .reduce((sum, { value }) => sum + value, 0);
}
