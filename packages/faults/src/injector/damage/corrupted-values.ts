import type { Random } from '@holdfast/foundation';

/** Changes the first of the values, from a random one on, that can be changed. */
export function changeOne(
  values: readonly unknown[],
  corrupt: <V>(value: V) => V,
  random: Random,
): { readonly at: number; readonly value: unknown } | undefined {
  const from = Math.floor(random() * values.length);
  for (let step = 0; step < values.length; step += 1) {
    const at = (from + step) % values.length;
    const value = corrupt(values[at]);
    if (!Object.is(value, values[at])) return { at, value };
  }
  return undefined;
}

/** Returns a copy with one bit flipped. */
export function corruptedBytes(bytes: Uint8Array, random: Random): Uint8Array<ArrayBuffer> {
  const copy = Uint8Array.from(bytes);
  const at = Math.floor(random() * copy.length);
  if (copy.length > 0) copy[at] = (copy[at] ?? 0) ^ (1 << Math.floor(random() * 8));
  return copy;
}

/** Changes one letter or digit to the next one, so that JSON stays JSON. */
export function corruptedText(text: string, random: Random): string {
  const offsets = [...text.matchAll(/[A-Ya-y0-8]/g)].map(({ index }) => index);
  const at = offsets[Math.floor(random() * offsets.length)];
  if (at === undefined) return `${text}0`;
  return text.slice(0, at) + String.fromCharCode(text.charCodeAt(at) + 1) + text.slice(at + 1);
}
