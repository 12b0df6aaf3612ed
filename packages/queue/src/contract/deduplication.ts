import { expect } from '@jest/globals';
import { seededRandom } from '@holdfast/foundation';
import type { Publication, QueueBackend } from '../backend.ts';
import { BackendError } from '../errors.ts';
import { fetchAll, job, publication, PARTS } from './jobs.ts';
import type { TestWith } from './guarantees.ts';

const SEED = 20_261_128;
const PUBLICATIONS = 300;

/** What a store owes a producer that sends anything again, late, or as an owner of the past. */
export function honoursDeduplication(
  openUp: () => Promise<QueueBackend>,
  testWith: TestWith,
): void {
  testWith(
    'deduplication',
    'through any publications, resent, late, of former owners or behind a gap, the store holds what a model of them holds',
    async () => {
      const backend = await openUp();
      const model = new Model();
      const random = seededRandom(SEED);
      const upTo = (most: number): number => Math.floor(random() * (most + 1));
      let owner = 1;
      for (let count = 0; count < PUBLICATIONS; count += 1) {
        if (upTo(40) === 0) owner += 1;
        const ownerEpoch = Math.max(1, upTo(5) === 0 ? owner - 1 : owner);
        const originEpoch = Math.max(1, upTo(3) === 0 ? ownerEpoch - 1 : ownerEpoch);
        const first = Math.max(1, model.reached(originEpoch) - 2 + upTo(5));
        const jobs = Array.from({ length: upTo(4) }, (_, index) =>
          job(first + index, `${originEpoch}-${first + index}`),
        );
        const floor = Math.max(0, first - 1 - upTo(6));
        const previous = upTo(1) === 0 ? 0 : first - 1;
        const sent = publication({ ownerEpoch, originEpoch, floor, previous, jobs });
        const answer = await answerTo(backend, sent);
        // The publication beside its answer, for who has to see why they differ.
        expect({ count, sent, answer }).toEqual({ count, sent, answer: model.publish(sent) });
      }
      const consumer = backend.subscribe(PARTS.TOPIC, PARTS.LEASE_MS);
      const held = await fetchAll(consumer, model.held.length);
      expect(held.map(({ id }) => id)).toEqual(model.held);
      expect(await consumer.fetch(1)).toEqual([]);
      await consumer.close();
    },
  );
}

interface Answer {
  readonly remembered?: number;
  readonly alreadyApplied?: number;
  readonly refusedAs?: string;
}

async function answerTo(backend: QueueBackend, sent: Publication): Promise<Answer> {
  try {
    const { remembered, alreadyApplied } = await backend.publish(sent);
    return { remembered, alreadyApplied };
  } catch (error) {
    if (!(error instanceof BackendError)) throw error;
    return { refusedAs: error.errorClass };
  }
}

/** The log of one producer: every numbering it has begun, and how far each of them was passed. */
class Model {
  readonly held: string[] = [];
  readonly #passed: number[] = [];
  #lastOwner = 0;

  reached(epoch: number): number {
    return this.#passed[epoch] ?? 0;
  }

  publish({ ownerEpoch, originEpoch, floor, previous, jobs }: Publication): Answer {
    if (ownerEpoch < this.#lastOwner) return { refusedAs: 'fenced' };
    const newest = this.#passed.length - 1;
    if (originEpoch < newest) {
      return { remembered: this.reached(newest), alreadyApplied: jobs.length };
    }
    const remembered = this.reached(originEpoch);
    const known = Math.max(remembered, floor);
    if (known < previous) return { refusedAs: 'busy' };
    const added = jobs.filter(({ sequence }) => sequence > known);
    this.held.push(...added.map(({ id }) => id));
    this.#passed[originEpoch] = added.at(-1)?.sequence ?? known;
    this.#lastOwner = ownerEpoch;
    return { remembered, alreadyApplied: jobs.length - added.length };
  }
}
