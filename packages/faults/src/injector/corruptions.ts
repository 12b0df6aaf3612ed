import { types } from 'node:util';
import type { Random } from '@holdfast/foundation';

/** An answer cut in half: text and bytes as they are, anything else as its JSON. */
export function malformed<T>(answer: T): T;
export function malformed(answer: unknown): unknown {
  if (types.isUint8Array(answer)) return answer.subarray(0, answer.length >> 1);
  const whole = typeof answer === 'string' ? answer : (JSON.stringify(answer) ?? 'undefined');
  return whole.slice(0, whole.length >> 1);
}

/** A list without some of its elements, at least one; anything else is not a list. */
export function withoutSome<T>(answer: T, lostShare: number, random: Random): T | undefined;
export function withoutSome(answer: unknown, lostShare: number, random: Random): unknown {
  if (!Array.isArray(answer)) return undefined;
  const list: readonly unknown[] = answer;
  const kept = list.filter(() => random() >= lostShare);
  if (kept.length < list.length || list.length === 0) return kept;
  const lost = Math.floor(random() * list.length);
  return list.filter((_, index) => index !== lost);
}

/** A copy with one value changed, and everything else, its form too, as it was. */
export function corrupted<T>(answer: T, random: Random): T;
export function corrupted(answer: unknown, random: Random): unknown {
  if (typeof answer === 'boolean') return !answer;
  if (typeof answer === 'number') return answer + 1 + Math.floor(random() * 9);
  if (typeof answer === 'bigint') return answer + 1n;
  if (typeof answer === 'string') return corruptedText(answer, random);
  if (types.isUint8Array(answer)) return corruptedBytes(answer, random);
  if (Array.isArray(answer)) {
    const list: readonly unknown[] = answer;
    const at = Math.floor(random() * list.length);
    return list.map((value, index) => (index === at ? corrupted(value, random) : value));
  }
  if (typeof answer === 'object' && answer !== null) {
    const entries = Object.entries(answer);
    const at = Math.floor(random() * entries.length);
    return Object.fromEntries(
      entries.map(([key, value], index) => [key, index === at ? corrupted(value, random) : value]),
    );
  }
  return answer;
}

/** One bit flipped somewhere. */
export function corruptedBytes(bytes: Uint8Array, random: Random): Uint8Array<ArrayBuffer> {
  const copy = Uint8Array.from(bytes);
  const at = Math.floor(random() * copy.length);
  if (copy.length > 0) copy[at] = (copy[at] ?? 0) ^ (1 << Math.floor(random() * 8));
  return copy;
}

/** One letter or digit becomes its neighbour, so that what was JSON is JSON still. */
function corruptedText(text: string, random: Random): string {
  const places = [...text.matchAll(/[A-Ya-y0-8]/g)].map(({ index }) => index);
  const at = places[Math.floor(random() * places.length)];
  if (at === undefined) return `${text}0`;
  return text.slice(0, at) + String.fromCharCode(text.charCodeAt(at) + 1) + text.slice(at + 1);
}
