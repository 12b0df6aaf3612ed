import { type BackendResult, fail, lacksRight, needing, ok } from '../../backend.ts';
import { ReadRights } from '../read-rights.ts';
import { probeAbsence, probeRead } from './conditions.ts';
import type { S3Session } from './session.ts';

const GET = 's3:GetObject';
const LIST = 's3:ListBucket';

/**
 * Tells an object that is absent from one that the client must not read: without `s3:ListBucket` S3 answers 403 to
 * both.
 */
export class S3Absence {
  readonly #session: S3Session;
  readonly #rights: ReadRights = new ReadRights();
  /** A response to HEAD does not tell an absent object from an absent bucket. */
  isBucketSeen = false;
  /** Whether the server denies the read of an object that does not exist. */
  #deniesAbsent: boolean | undefined;

  constructor(session: S3Session) {
    this.#session = session;
  }

  wrote(key: string): void {
    this.isBucketSeen = true;
    this.#rights.wrote(key);
  }

  /** The result of a read, in which an absent object is `notFound` wherever that can be known. */
  async judge<T>(
    key: string,
    read: BackendResult<T>,
    signal: AbortSignal,
  ): Promise<BackendResult<T>> {
    if (read.kind === 'ok') this.#rights.learned(key, true);
    if (read.kind === 'ok' || read.code === 'NoSuchKey') this.isBucketSeen = true;
    if (!lacksRight(read)) return read;
    if (this.#rights.takeProbe(key) !== undefined) {
      const probed = await probeRead(this.#session, key, signal);
      if (probed.kind === 'ok') this.#rights.learned(key, probed.value);
      else if (probed.kind === 'transient') return probed;
    }
    const mayRead = this.#rights.mayRead(key);
    if (mayRead !== true) {
      return needing(mayRead === false ? GET : `${GET}, or ${LIST} if it is absent`, read);
    }
    const deniesAbsent = await this.#learnAbsence(key, signal);
    if (deniesAbsent.kind !== 'ok') return deniesAbsent;
    return deniesAbsent.value
      ? fail('notFound', `${read.message}, as for every absent object without ${LIST}`)
      : needing(GET, read);
  }

  async #learnAbsence(key: string, signal: AbortSignal): Promise<BackendResult<boolean>> {
    if (this.#deniesAbsent !== undefined) return ok(this.#deniesAbsent);
    const probed = await probeAbsence(this.#session, key, signal);
    if (probed.kind === 'ok') this.#deniesAbsent = probed.value;
    return probed;
  }
}
