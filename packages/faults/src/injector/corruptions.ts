import { types } from 'node:util';
import type { Random } from '@holdfast/foundation';

/** Cuts a result in half: text and bytes as they are, anything else as JSON. */
export function malformed<T>(result: T): T;
export function malformed(result: unknown): unknown {
  if (types.isUint8Array(result)) return result.subarray(0, result.length >> 1);
  const text = typeof result === 'string' ? result : (JSON.stringify(result) ?? 'undefined');
  return text.slice(0, text.length >> 1);
}

/** Removes at least one element of a list; returns undefined for anything else. */
export function withoutSome<T>(result: T, lostShare: number, random: Random): T | undefined;
export function withoutSome(result: unknown, lostShare: number, random: Random): unknown {
  if (!Array.isArray(result)) return undefined;
  const list: readonly unknown[] = result;
  const kept = list.filter(() => random() >= lostShare);
  if (kept.length < list.length || list.length === 0) return kept;
  const lost = Math.floor(random() * list.length);
  return list.filter((_, index) => index !== lost);
}

/** Returns a copy with one value changed and the same form. */
export function corrupted<T>(result: T, random: Random): T;
export function corrupted(result: unknown, random: Random): unknown {
  if (typeof result === 'boolean') return !result;
  if (typeof result === 'number') return result + 1 + Math.floor(random() * 9);
  if (typeof result === 'bigint') return result + 1n;
  if (typeof result === 'string') return corruptedText(result, random);
  if (types.isUint8Array(result)) return corruptedBytes(result, random);
  if (Array.isArray(result)) {
    const list: readonly unknown[] = result;
    const at = Math.floor(random() * list.length);
    return list.map((value, index) => (index === at ? corrupted(value, random) : value));
  }
  if (typeof result === 'object' && result !== null) {
    const entries = Object.entries(result);
    const at = Math.floor(random() * entries.length);
    return Object.fromEntries(
      entries.map(([key, value], index) => [key, index === at ? corrupted(value, random) : value]),
    );
  }
  return result;
}

/** Returns a copy with one bit flipped. */
export function corruptedBytes(bytes: Uint8Array, random: Random): Uint8Array<ArrayBuffer> {
  const copy = Uint8Array.from(bytes);
  const at = Math.floor(random() * copy.length);
  if (copy.length > 0) copy[at] = (copy[at] ?? 0) ^ (1 << Math.floor(random() * 8));
  return copy;
}

/** Changes one letter or digit to the next one, so that JSON stays JSON. */
function corruptedText(text: string, random: Random): string {
  const offsets = [...text.matchAll(/[A-Ya-y0-8]/g)].map(({ index }) => index);
  const at = offsets[Math.floor(random() * offsets.length)];
  if (at === undefined) return `${text}0`;
  return text.slice(0, at) + String.fromCharCode(text.charCodeAt(at) + 1) + text.slice(at + 1);
}
