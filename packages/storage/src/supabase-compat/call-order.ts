import { KeyTurns, type KeyTurn } from '../accept/key-turns.ts';
import type { Storage } from '../storage.ts';

const turnsByStorage = new WeakMap<Storage, KeyTurns>();

/** Takes the next place among the calls of `storageClient` that write a key, or copy it. */
export function placeAt(storage: Storage, key: string, kind: 'write' | 'copy' = 'write'): KeyTurn {
  let turns = turnsByStorage.get(storage);
  if (turns === undefined) {
    turns = new KeyTurns();
    turnsByStorage.set(storage, turns);
  }
  return turns.take(key, kind);
}

/**
 * Makes a call once those that have earlier places are made, whatever has to be known before each of them: the storage
 * orders what it is asked.
 */
export async function inCallOrder<T>(
  places: readonly KeyTurn[],
  before: () => Promise<unknown>,
  call: () => Promise<T>,
): Promise<T> {
  try {
    for (const place of places) await place.begin();
    await before();
    const called = call();
    for (const place of places) place.end();
    return await called;
  } finally {
    for (const place of places) place.end();
  }
}
