import { randomUUID } from 'node:crypto';
import type { Clock, Emitter } from '@holdfast/foundation';
import type { Publication, PublishReceipt, QueueBackend } from '../backend.ts';
import { BackendError } from '../errors.ts';
import type { Backlog } from '../fallback/backlog.ts';
import type { Acceptor, QueueEvents } from '../queue.ts';
import type { RemainingDelays } from './remaining-delays.ts';

interface IdentityDeps {
  readonly backend: QueueBackend;
  readonly backlog: Backlog;
  readonly fallback: Exclude<Acceptor, 'redis'>;
  readonly events: Emitter<QueueEvents>;
  readonly clock: Clock;
  readonly delays: RemainingDelays;
}

/**
 * The identity under which this process owns its journal at the store. A copy of the journal's directory, restored or
 * cloned, has the identity of the original. The store then knows a later owner, or another one of the same epoch,
 * although this process owns its directory: it takes a new identity. The jobs keep their origin, which is unique, so
 * a job that several copies hold is added once.
 */
export class ProducerIdentity {
  readonly #deps: IdentityDeps;
  #producer: string;
  #renewals = 0;

  constructor(deps: IdentityDeps) {
    this.#deps = deps;
    this.#producer = deps.backlog.id;
  }

  /** How often this process has taken a new identity. */
  get renewals(): number {
    return this.#renewals;
  }

  get owner(): Pick<Publication, 'producer' | 'ownerEpoch' | 'ownerNonce'> {
    const { epoch: ownerEpoch, nonce: ownerNonce } = this.#deps.backlog;
    return { producer: this.#producer, ownerEpoch, ownerNonce };
  }

  /** @throws BackendError */
  publish(publication: Publication): Promise<PublishReceipt> {
    return this.#deps.backend.publish(this.#withDelays(publication));
  }

  /**
   * Publishes again, under a new identity, what was rejected because the store knows another owner of this one.
   * @throws the error, synchronously, when it is another one; `fenced` when another process has taken the journal over.
   */
  publishRenewed(publication: Publication, error: unknown): Promise<PublishReceipt> {
    const { fallback } = this.#deps;
    const isFenced = error instanceof BackendError && error.errorClass === 'fenced';
    // A journal in memory has an identity of its own, and no copies.
    if (!isFenced || fallback === 'memory') throw error;
    return this.#publishRenewed(publication, error);
  }

  async #publishRenewed(publication: Publication, error: BackendError): Promise<PublishReceipt> {
    const { backlog } = this.#deps;
    try {
      await backlog.confirmOwnership();
    } catch {
      throw error;
    }
    // Of several publications in flight, the first to fail has taken the new identity.
    if (publication.producer === this.#producer) this.#renew();
    return this.publish({ ...publication, ...this.owner });
  }

  #withDelays(publication: Publication): Publication {
    const { delays } = this.#deps;
    const { jobs } = publication;
    if (jobs.every(({ dueAtMs }) => dueAtMs === 0)) return publication;
    const delayed = jobs.map((job) =>
      job.dueAtMs === 0 ? job : Object.assign({}, job, { delayMs: delays.leftOf(job) }),
    );
    return { ...publication, jobs: delayed };
  }

  #renew(): void {
    const { events, clock } = this.#deps;
    const former = this.#producer;
    this.#producer = randomUUID();
    this.#renewals += 1;
    events.emit('identity-renewed', { former, identity: this.#producer, atMs: clock.now() });
  }
}
