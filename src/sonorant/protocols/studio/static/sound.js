// One sound at a time: what begins to sound silences the others.

const silencers = new Map();

/** Join in under a name. `silence()` is called when another begins. */
export function joins(name, silence) {
  silencers.set(name, silence);
}

/** To be called when that one begins to sound. */
export function sounds(name) {
  for (const [other, silence] of silencers) if (other !== name) silence();
}
