import type { PublishedJob } from '../backend.ts';
import { BackendError } from '../errors.ts';
import type { ManagedConnection } from './connection/managed-connection.ts';

/** Every Redis accepts arguments of this size: neither of its limits can be set lower. */
const ALWAYS_ACCEPTED_BYTES = 1_048_576;
/** A bound of a publication's bytes besides one large payload. */
const ENVELOPE_BYTES = 65_536;

/**
 * Finds the first job that is larger than the server accepts. This has to be checked before sending: the server
 * closes the connection on such a job, which looks like an outage, again and again.
 * @returns undefined when there is none, or when this user may not read the limits.
 * @throws BackendError when the limits cannot be read now.
 */
export async function findTooLarge(
  connection: ManagedConnection,
  jobs: readonly PublishedJob[],
): Promise<{ readonly index: number; readonly reason: string } | undefined> {
  const isLarge = ({ payload }: PublishedJob): boolean =>
    payload.length > ALWAYS_ACCEPTED_BYTES / 4 &&
    Buffer.byteLength(payload) > ALWAYS_ACCEPTED_BYTES - ENVELOPE_BYTES;
  if (!jobs.some(isLarge)) return undefined;
  const limits = await limitsOf(connection);
  for (const [index, job] of jobs.entries()) {
    if (!isLarge(job)) continue;
    const bytes = Buffer.byteLength(job.payload);
    const exceeded = limits.find(({ most }) => bytes > most);
    if (exceeded === undefined) continue;
    const { name, most } = exceeded;
    return { index, reason: `Redis: a payload of ${bytes} bytes; ${name} allows ${most}` };
  }
  return undefined;
}

async function limitsOf(connection: ManagedConnection): Promise<{ name: string; most: number }[]> {
  const names = { 'proto-max-bulk-len': 0, 'client-query-buffer-limit': ENVELOPE_BYTES };
  const limits = [];
  for (const [name, envelopeBytes] of Object.entries(names)) {
    const reply = await connection
      .call((client) => client.call('CONFIG', 'GET', name))
      .catch((error: unknown) => {
        if (error instanceof BackendError && error.errorClass === 'denied') return undefined;
        throw error;
      });
    const value = Array.isArray(reply) ? Number(reply[1]) : Number.NaN;
    if (value > 0) limits.push({ name, most: value - envelopeBytes });
  }
  return limits;
}
