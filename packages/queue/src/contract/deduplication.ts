import { expect } from '@jest/globals';
import { seededRandom } from '@holdfast/foundation';
import type { Publication, QueueBackend } from '../backend.ts';
import { BackendError } from '../errors.ts';
import type { DeclareTest } from './guarantees.ts';
import { PARTS, fetchAll, job, publication, takeAll } from './jobs.ts';

const SEED = 20_261_128;
const PUBLICATIONS = 300;

/** A store knows the jobs of a producer by their sequence. */
export function honoursHighWaterMarks(
  openUp: () => Promise<QueueBackend>,
  test: DeclareTest,
): void {
  test('a publication that is sent again adds only what is new', async () => {
    const backend = await openUp();
    const receipt = await backend.publish(publication({ jobs: [job(1), job(2)] }));
    expect(receipt).toEqual({ remembered: 0, alreadyApplied: 0, duplicates: [], refused: 0 });
    const again = await backend.publish(publication({ jobs: [job(1), job(2), job(3)] }));
    expect(again).toEqual({ remembered: 2, alreadyApplied: 2, duplicates: [], refused: 0 });
    expect((await takeAll(backend, 3)).map(({ id }) => id)).toEqual(['job-1', 'job-2', 'job-3']);
  });

  test('a high-water mark is raised to the floor of a publication, and never lowered', async () => {
    const backend = await openUp();
    const raised = await backend.publish(publication({ floor: 7, jobs: [] }));
    expect(raised.remembered).toBe(0);
    await backend.publish(publication({ floor: 3, jobs: [] }));
    const late = await backend.publish(publication({ floor: 4, jobs: [job(5), job(7), job(9)] }));
    expect(late).toMatchObject({ remembered: 7, alreadyApplied: 2 });
    expect((await takeAll(backend, 1)).map(({ id }) => id)).toEqual(['job-9']);
  });

  test('jobs behind jobs that the store has lost are rejected until those are sent again', async () => {
    const backend = await openUp();
    const gap = publication({ floor: 1, previous: 3, jobs: [job(4)] });
    await expect(backend.publish(gap)).rejects.toMatchObject({ errorClass: 'busy' });
    await backend.publish(publication({ floor: 1, jobs: [job(2), job(3)] }));
    expect(await backend.publish(gap)).toMatchObject({ remembered: 3, alreadyApplied: 0 });
    expect((await takeAll(backend, 3)).map(({ id }) => id)).toEqual(['job-2', 'job-3', 'job-4']);
  });
}

/** A store separates the numberings of owners and producers, and fences former owners. */
export function honoursEpochs(openUp: () => Promise<QueueBackend>, test: DeclareTest): void {
  test('a later owner drains the jobs of an earlier one, starts its own numbering, and fences the earlier one', async () => {
    const backend = await openUp();
    await backend.publish(publication({ jobs: [job(1)] }));
    const drained = await backend.publish(publication({ ownerEpoch: 2, jobs: [job(1), job(2)] }));
    expect(drained.alreadyApplied).toBe(1);
    const own = { ownerEpoch: 2, originEpoch: 2 };
    expect(await backend.publish(publication({ ...own, jobs: [job(1, 'own-1')] }))).toMatchObject({
      remembered: 0,
      alreadyApplied: 0,
    });
    await expect(backend.publish(publication({ jobs: [job(3)] }))).rejects.toMatchObject({
      errorClass: 'fenced',
    });
    const late = await backend.publish(publication({ ownerEpoch: 2, jobs: [job(2), job(3)] }));
    expect(late.alreadyApplied).toBe(2);
    expect((await takeAll(backend, 3)).map(({ id }) => id)).toEqual(['job-1', 'job-2', 'own-1']);
  });

  test('each producer has its own numbering', async () => {
    const backend = await openUp();
    await backend.publish(publication({ jobs: [job(1)] }));
    const other = await backend.publish(
      publication({ producer: 'other', jobs: [job(1, 'other-1')] }),
    );
    expect(other).toEqual({ remembered: 0, alreadyApplied: 0, duplicates: [], refused: 0 });
  });
}

/** A store separates the copies of a journal's directory, which repeat its identity and its epochs. */
export function honoursNonces(openUp: () => Promise<QueueBackend>, test: DeclareTest): void {
  const of = (nonce: string): Partial<Publication> => ({ ownerNonce: nonce, originNonce: nonce });

  test('an owner of the same epoch with another nonce is rejected before anything is written', async () => {
    const backend = await openUp();
    await backend.publish(publication({ ...of('one'), jobs: [job(1)] }));
    const other = publication({ ...of('other'), jobs: [job(1, 'other-1')] });
    await expect(backend.publish(other)).rejects.toMatchObject({ errorClass: 'fenced' });
    await expect(backend.publish(publication({ jobs: [job(9)] }))).rejects.toMatchObject({
      errorClass: 'fenced',
    });
    const renewed = await backend.publish({ ...other, producer: 'renewed' });
    expect(renewed).toEqual({ remembered: 0, alreadyApplied: 0, duplicates: [], refused: 0 });
    const again = await backend.publish(publication({ ...of('one'), jobs: [job(1), job(2)] }));
    expect(again).toMatchObject({ remembered: 1, alreadyApplied: 1 });
    expect((await takeAll(backend, 3)).map(({ id }) => id)).toEqual(['job-1', 'other-1', 'job-2']);
  });

  test('a job that several producers hold is added once by the nonce of its origin', async () => {
    const backend = await openUp();
    const shared = { originNonce: 'shared', jobs: [job(1), job(2)] };
    const second = { ownerEpoch: 2, ownerNonce: 'second' };
    await backend.publish(publication({ ...second, ...shared }));
    const late = publication({ ...second, ...shared, ownerNonce: 'copy', producer: 'renewed' });
    expect(await backend.publish(late)).toMatchObject({ remembered: 2, alreadyApplied: 2 });
    const own = publication({ ...second, originEpoch: 2, originNonce: 'second', jobs: [job(1)] });
    expect(await backend.publish(own)).toMatchObject({ remembered: 0, alreadyApplied: 0 });
    const former = publication({ ...of('former'), jobs: [job(3)] });
    await expect(backend.publish(former)).rejects.toMatchObject({ errorClass: 'fenced' });
    expect((await takeAll(backend, 3)).map(({ id }) => id)).toEqual(['job-1', 'job-2', 'job-1']);
  });
}

/** A store adds each job once, whatever is sent again, late, or by a former owner. */
export function honoursDeduplication(openUp: () => Promise<QueueBackend>, test: DeclareTest): void {
  test('of several jobs with one id chosen by the caller, only the first is added', async () => {
    const backend = await openUp();
    const unique = { id: 'mine', unique: true };
    const first = { ...job(1), ...unique };
    const receipt = await backend.publish(
      publication({ jobs: [first, job(2), { ...job(3), ...unique }] }),
    );
    expect(receipt).toEqual({
      remembered: 0,
      alreadyApplied: 0,
      duplicates: ['mine'],
      refused: 0,
    });
    const again = await backend.publish(
      publication({ producer: 'other', jobs: [{ ...job(1), ...unique }, job(2, 'other-2')] }),
    );
    expect(again.duplicates).toEqual(['mine']);
    const taken = await takeAll(backend, 3);
    expect(taken.map(({ id }) => id)).toEqual(['mine', 'job-2', 'other-2']);
  });

  test('jobs whose ids are known take no room in a topic that has little', async () => {
    const backend = await openUp();
    const known = { ...job(1), id: 'mine', unique: true };
    await backend.publish(publication({ maxJobs: 2, jobs: [known] }));
    const jobs = [{ ...known, sequence: 2 }, job(3), job(4)];
    expect(await backend.publish(publication({ maxJobs: 2, jobs }))).toMatchObject({
      duplicates: ['mine'],
      refused: 1,
    });
    expect((await takeAll(backend, 2)).map(({ id }) => id)).toEqual(['mine', 'job-3']);
  });

  test('after random publications that are resent, late, fenced or behind a gap, the store holds what a model holds', async () => {
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
      // A failure shows the publication beside its answer.
      expect({ count, sent, answer }).toEqual({ count, sent, answer: model.publish(sent) });
    }
    const consumer = backend.subscribe(PARTS.TOPIC, PARTS.LEASE_MS);
    const held = await fetchAll(consumer, model.held.length);
    expect(held.map(({ id }) => id)).toEqual(model.held);
    expect(await consumer.fetch(1)).toEqual([]);
    await consumer.close();
  });
}

interface Answer {
  readonly remembered?: number;
  readonly alreadyApplied?: number;
  readonly rejectedAs?: string;
}

async function answerTo(backend: QueueBackend, sent: Publication): Promise<Answer> {
  try {
    const { remembered, alreadyApplied } = await backend.publish(sent);
    return { remembered, alreadyApplied };
  } catch (error) {
    if (!(error instanceof BackendError)) throw error;
    return { rejectedAs: error.errorClass };
  }
}

/** A model of one producer: the numbering of each epoch, and how far it has advanced. */
class Model {
  readonly held: string[] = [];
  readonly #reached: number[] = [];
  #lastOwner = 0;

  reached(epoch: number): number {
    return this.#reached[epoch] ?? 0;
  }

  publish({ ownerEpoch, originEpoch, floor, previous, jobs }: Publication): Answer {
    if (ownerEpoch < this.#lastOwner) return { rejectedAs: 'fenced' };
    const newest = this.#reached.length - 1;
    if (originEpoch < newest) {
      return { remembered: this.reached(newest), alreadyApplied: jobs.length };
    }
    const remembered = this.reached(originEpoch);
    const known = Math.max(remembered, floor);
    if (known < previous) return { rejectedAs: 'busy' };
    const added = jobs.filter(({ sequence }) => sequence > known);
    this.held.push(...added.map(({ id }) => id));
    this.#reached[originEpoch] = added.at(-1)?.sequence ?? known;
    this.#lastOwner = ownerEpoch;
    return { remembered, alreadyApplied: jobs.length - added.length };
  }
}
