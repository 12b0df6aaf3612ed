import { createHash } from 'node:crypto';
import { type Random, seededRandom } from '@holdfast/foundation';
import type { PlantedBug } from './planted-bug.ts';

/**
 * Chooses `count` bugs, first one of each package, then any others, in the order of the list. The same seed chooses the
 * same ones.
 * @param seed any text, such as a day or a commit.
 */
export function sampleOf(
  bugs: readonly PlantedBug[],
  count: number,
  seed: string,
): readonly PlantedBug[] {
  const random = seededRandom(createHash('sha256').update(seed).digest().readInt32BE());
  const shuffled = shuffle(bugs, random);
  const firsts = new Map(shuffled.toReversed().map((bug) => [packageOf(bug), bug]));
  const ofEach = shuffle([...firsts.values()], random);
  const chosen = new Set([...new Set([...ofEach, ...shuffled])].slice(0, count));
  return bugs.filter((bug) => chosen.has(bug));
}

/** Fisher-Yates. */
function shuffle<Item>(items: readonly Item[], random: Random): Item[] {
  const left = [...items];
  return items.flatMap(() => left.splice(Math.floor(random() * left.length), 1));
}

/** The package whose code the bug changes. */
export function packageOf({ file }: PlantedBug): string {
  return file.split('/')[1] ?? '';
}
