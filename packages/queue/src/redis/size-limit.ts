import type { PublishedJob } from '../backend.ts';
import { BackendError } from '../errors.ts';
import type { ManagedConnection } from './connection/managed-connection.ts';

/** Every Redis takes as much in one argument: neither of its limits can be set lower. */
const TAKEN_BY_ALL_BYTES = 1_048_576;
/** What a publication has beside one large payload. */
const ENVELOPE_BYTES = 65_536;

/**
 * The first job that is larger than the server takes. It has to be asked before: the server's answer to such
 * a job is to close the connection, which looks like an outage, again and again.
 * @returns undefined where there is none, or the server does not let itself be asked.
 * @throws BackendError when it cannot be asked for now.
 */
export async function findTooLarge(
  link: ManagedConnection,
  jobs: readonly PublishedJob[],
): Promise<{ readonly index: number; readonly reason: string } | undefined> {
  const isLarge = ({ payload }: PublishedJob): boolean =>
    payload.length > TAKEN_BY_ALL_BYTES / 4 &&
    Buffer.byteLength(payload) > TAKEN_BY_ALL_BYTES - ENVELOPE_BYTES;
  if (!jobs.some(isLarge)) return undefined;
  const limits = await limitsOf(link);
  for (const [index, job] of jobs.entries()) {
    if (!isLarge(job)) continue;
    const bytes = Buffer.byteLength(job.payload);
    const broken = limits.find(({ most }) => bytes > most);
    if (broken === undefined) continue;
    const { name, most } = broken;
    return { index, reason: `Redis: a payload of ${bytes} bytes; ${name} allows ${most}` };
  }
  return undefined;
}

async function limitsOf(link: ManagedConnection): Promise<{ name: string; most: number }[]> {
  const names = { 'proto-max-bulk-len': 0, 'client-query-buffer-limit': ENVELOPE_BYTES };
  const limits = [];
  for (const [name, envelopeBytes] of Object.entries(names)) {
    const reply = await link
      .call((client) => client.config('GET', name))
      .catch((error: unknown) => {
        if (error instanceof BackendError && error.errorClass === 'denied') return undefined;
        throw error;
      });
    const value = Array.isArray(reply) ? Number(reply[1]) : Number.NaN;
    if (value > 0) limits.push({ name, most: value - envelopeBytes });
  }
  return limits;
}
