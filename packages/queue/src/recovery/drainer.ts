import type { Publication, PublishReceipt, PublishedJob } from '../backend.ts';
import type { StoredJob } from '../fallback/record.ts';
import type { ProducerDeps, ProducerState } from '../state/producer-state.ts';
import { publishIsolatingPoison } from '../publish.ts';
import { tracedDrain } from '../tracing/trace-attributes.ts';

/** Moves jobs that were accepted before from the backlog to Redis, in order. */
export class Drainer {
  readonly #deps: ProducerDeps;
  readonly #state: ProducerState;

  constructor(deps: ProducerDeps, state: ProducerState) {
    this.#deps = deps;
    this.#state = state;
  }

  /**
   * Publishes the oldest window of the backlog.
   * @returns the number of its jobs; 0 when the backlog is empty.
   * @throws BackendError; the window then stays in the backlog, and publishing it again is harmless.
   */
  async drainWindow(): Promise<number> {
    const { backlog, tracing } = this.#deps;
    const { jobs, through } = await backlog.window();
    for (const publication of this.#publicationsOf(jobs)) {
      const { jobs: published, receipt } = await tracedDrain(tracing, publication, () =>
        this.#publish(publication),
      );
      this.#state.recordDrained({ ...publication, jobs: published }, receipt);
    }
    // A window without jobs is damaged; this was reported when the journal was opened.
    await backlog.accepted(through);
    this.#state.progress.notifyAll();
    this.#state.room.notifyAll();
    return jobs.length;
  }

  /**
   * Publishes again what an earlier owner of the journal had written and Redis has accepted lately. Redis may have
   * lost it, and this process learns so by the receipts. Precedes this process's own jobs.
   */
  async resendInherited(): Promise<void> {
    const lost = new Map<string, number>();
    try {
      for await (const { jobs } of this.#deps.backlog.inherited()) {
        for (const publication of this.#publicationsOf(jobs)) {
          const { topic } = publication;
          const { jobs: sent, receipt } = await this.#publish(publication);
          lost.set(topic, (lost.get(topic) ?? 0) + sent.length - receipt.alreadyApplied);
        }
      }
    } finally {
      for (const [topic, count] of lost) {
        if (count > 0) this.#state.reportLost(topic, count, count);
      }
    }
  }

  /** Asks Redis which confirmed jobs it still has, and publishes the lost ones again. */
  async resendLost(): Promise<void> {
    for (const query of this.#state.highWaterMarkQueries()) {
      const { receipt } = await this.#publish(query);
      const lost = this.#state.lostJobs(query, receipt);
      for (const publication of lost) await this.#publish(publication);
    }
  }

  /**
   * Publishes jobs, and stores those that Redis rejects as poison.
   * @returns the jobs that were published, and the receipt.
   * @throws BackendError; the errors of the journal that stores the poison.
   */
  async #publish(
    publication: Publication,
  ): Promise<{ jobs: readonly PublishedJob[]; receipt: PublishReceipt }> {
    const { poison } = this.#deps;
    const { topic, originEpoch, originNonce, jobs } = publication;
    const poisoned = new Set<PublishedJob>();
    const receipt = await publishIsolatingPoison(
      this.#state.identity,
      publication,
      async (job, reason) => {
        await poison.add({ ...job, topic, originEpoch, originNonce, reason });
        poisoned.add(job);
        this.#state.reportPoison(topic, job.id, reason, true);
      },
    );
    if (poisoned.size === 0) return { jobs, receipt };
    return { jobs: jobs.filter((job) => !poisoned.has(job)), receipt };
  }

  /** One publication per topic and origin epoch, each in the order of the journal. */
  #publicationsOf(jobs: readonly StoredJob[]): Publication[] {
    const { backlog, poison, topics } = this.#deps;
    const { producer, ownerEpoch, ownerNonce } = this.#state.identity.owner;
    const groups = new Map<string, StoredJob[]>();
    for (const job of jobs) {
      if (poison.has(job)) continue;
      const key = `${job.originEpoch} ${job.originNonce} ${job.topic}`;
      const group = groups.get(key);
      if (group === undefined) groups.set(key, [job]);
      else group.push(job);
    }
    return [...groups.values()].flatMap((group) => {
      const [first] = group;
      if (first === undefined) return [];
      // Releases without nonces kept the mark under the journal's identity.
      const { topic, originEpoch, originNonce = backlog.id, sequence } = first;
      if (originNonce === backlog.nonce) {
        return this.#state.publicationFor(this.#state.bufferOf(topic), group);
      }
      const partitions = topics.get(topic)?.partitions;
      return {
        topic,
        producer,
        ownerEpoch,
        ownerNonce,
        originEpoch,
        originNonce,
        floor: sequence - 1,
        previous: 0,
        partitions,
        jobs: group,
      };
    });
  }
}
