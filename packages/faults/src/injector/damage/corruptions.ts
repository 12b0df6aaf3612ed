import { types } from 'node:util';
import type { Random } from '@holdfast/foundation';
import { corruptedInstance, isLive } from './corrupted-instance.ts';
import { changeOne, corruptedText } from './corrupted-values.ts';

/** Cuts a result in half: text and bytes as they are, anything else as JSON; a client or function stays as it is. */
export function malformed<T>(result: T): T;
export function malformed(result: unknown): unknown {
  if (types.isUint8Array(result)) return result.subarray(0, result.length >> 1);
  if (isLive(result)) return result;
  const text = typeof result === 'string' ? result : textOf(result);
  return text.slice(0, text.length >> 1);
}

/** The JSON of a value, also of one that has none. */
function textOf(value: unknown): string {
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return Object.prototype.toString.call(value);
  }
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

/** How deep a value is searched for one to change; a circle has no end. */
const MAX_DEPTH = 100;

/**
 * Returns a copy with one value changed and the same form: every object keeps its type. What has nothing that can be
 * changed, such as `null`, a function or a stream, is returned as it is.
 */
export function corrupted<T>(result: T, random: Random, depth?: number): T;
export function corrupted(result: unknown, random: Random, depth = 0): unknown {
  if (typeof result === 'boolean') return !result;
  if (typeof result === 'number') return result + 1 + Math.floor(random() * 9);
  if (typeof result === 'bigint') return result + 1n;
  if (typeof result === 'string') return corruptedText(result, random);
  if (typeof result !== 'object' || result === null || depth > MAX_DEPTH) return result;
  const inner = <V>(value: V): V => corrupted(value, random, depth + 1);
  if (Array.isArray(result)) {
    const changed = changeOne(result, inner, random);
    if (changed === undefined) return result;
    // Lists of clients have fields of their own, and a class.
    const copy: unknown[] = Object.assign(result.slice(), result);
    copy[changed.at] = changed.value;
    return Object.setPrototypeOf(copy, Object.getPrototypeOf(result));
  }
  return corruptedInstance(result, inner, random);
}
