// Seconds as people read them.

import { show } from "./language.js";

/** On an axis: 7, 7.5, 1:07 or 1:02:07. */
export function tick(seconds, digits = 0) {
  return seconds < 60 ? seconds.toFixed(digits) : stamp(seconds, digits);
}

/** In a list: 0:07.5 or 1:02:07.5. */
export function stamp(seconds, digits = 1) {
  const units = Math.round(seconds * 10 ** digits);
  const whole = Math.floor(units / 10 ** digits);
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const rest = (units / 10 ** digits - (whole - (whole % 60))).toFixed(digits).padStart(digits ? digits + 3 : 2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

/** As a measurement, in an element: 83 ms, 1.04 s. */
export function showTime(element, seconds) {
  if (seconds < 1) show(element, "unit.ms", Math.round(seconds * 1000));
  else show(element, "unit.s", seconds.toFixed(2));
}
