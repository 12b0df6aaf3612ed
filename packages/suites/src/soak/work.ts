import type { Database } from '@holdfast/database';
import type { Queue } from '@holdfast/queue';
import type { ResilienceStack } from '@holdfast/resilience';
import type { Storage, StorageBackend } from '@holdfast/storage';
import { waitUntil } from '../wait-until.ts';
import { Calls } from './calls.ts';

/** The load on one adapter, and what has to be true once its servers are back. */
interface SoakWork {
  readonly calls: Readonly<Record<string, Calls>>;
  /** Resolves when every call has settled after the signal aborted. */
  load(until: AbortSignal): Promise<unknown>;
  /** Waits until everything accepted has arrived; resolves with what is wrong. */
  settle(): Promise<string[]>;
}

/** @param signal given to every call, as the signal of a service's shutdown. */
interface WorkDeps {
  readonly signal: AbortSignal;
}

const PAUSE_MS = 15;
const SETTLED_WITHIN_MS = 60_000;

/** Numbered jobs, each handled by the same process. */
export function queueWork(
  queue: Queue,
  { signal }: WorkDeps,
): SoakWork & { readonly repeated: number } {
  const enqueue = new Calls();
  const offered = new Set<number>();
  const outstanding = new Set<number>();
  /** Handled before they were known to be accepted. */
  const early = new Set<number>();
  let repeated = 0;
  let last = 0;
  queue.process('soak', async ({ payload }) => {
    const number = Number(payload);
    if (outstanding.delete(number)) return;
    if (offered.has(number)) early.add(number);
    else repeated += 1;
  });
  const offer = async (): Promise<void> => {
    const number = (last += 1);
    offered.add(number);
    try {
      await queue.enqueue('soak', number, { signal });
      if (!early.has(number)) outstanding.add(number);
    } finally {
      offered.delete(number);
      early.delete(number);
    }
  };
  const hasArrived = (): boolean => outstanding.size === 0 && queue.getStats().backlog.jobs === 0;
  return {
    calls: { enqueue },
    get repeated() {
      return repeated;
    },
    load: (until) =>
      Promise.all([enqueue.keep(offer, PAUSE_MS, until), enqueue.keep(offer, PAUSE_MS, until)]),
    async settle() {
      await waitUntil(hasArrived, SETTLED_WITHIN_MS).catch(() => undefined);
      return hasArrived() ? [] : [`${outstanding.size} jobs have not arrived`];
    },
  };
}

/** Updates of one counter. */
export function databaseWork(database: Database, { signal }: WorkDeps): SoakWork {
  const update = new Calls();
  const sql = 'update counters set n = n + 1 where id = 0';
  return {
    calls: { update },
    load: (until) => update.keep(() => database.query(sql, [], { signal }), PAUSE_MS, until),
    async settle() {
      const [row] = await rowsOf(database, 'select n from counters');
      const n = Number(row?.['n']);
      const { succeeded, failed, notApplied } = update;
      const inDoubt = failed - notApplied;
      if (n >= succeeded && n <= succeeded + inDoubt) return [];
      return [`${n} updates applied, ${succeeded} succeeded, ${inDoubt} in doubt`];
    },
  };
}

/** The rows of a statement, once a database that has just come back answers. */
export async function rowsOf(
  database: Database,
  sql: string,
): Promise<readonly Record<string, unknown>[]> {
  let rows: readonly Record<string, unknown>[] = [];
  await waitUntil(async () => {
    const answer = await database.query<Record<string, unknown>>(sql).catch(() => undefined);
    rows = answer?.rows ?? [];
    return answer !== undefined;
  }, SETTLED_WITHIN_MS);
  return rows;
}

const KEYS = ['k0', 'k1', 'k2', 'k3', 'dir/k4'];

/** @param direct the servers without their proxies, to look at. */
export function storageWork(
  storage: Storage,
  direct: readonly StorageBackend[],
  { signal }: WorkDeps,
): SoakWork {
  const upload = new Calls();
  const download = new Calls();
  /** The texts that a key may have: the last accepted, and those offered since. */
  const texts = new Map<string, string[]>();
  const write = async (key: string): Promise<void> => {
    const text = `${key} ${upload.made} ${'x'.repeat(upload.made % 700)}`;
    texts.set(key, [...(texts.get(key) ?? []), text]);
    await storage.upload(key, text, { signal });
    texts.set(key, [text]);
  };
  const read = async (): Promise<Uint8Array> =>
    (await storage.download(KEYS[0] ?? '', { signal })).bytes();
  return {
    calls: { upload, download },
    load: (until) =>
      Promise.all([
        ...KEYS.map((key) => upload.keep(() => write(key), 3 * PAUSE_MS, until)),
        download.keep(read, 3 * PAUSE_MS, until),
      ]),
    async settle() {
      const wrong: string[] = [];
      const left = await storage.flush({ deadlineMs: SETTLED_WITHIN_MS });
      if (left > 0) wrong.push(`${left} writes have not arrived`);
      for (const server of direct) {
        for (const [key, allowed] of texts) {
          const text = await textAt(server, key);
          if (!allowed.includes(text)) wrong.push(`${server.name} ${key}: ${text.slice(0, 20)}`);
        }
      }
      return wrong;
    },
  };
}

async function textAt(server: StorageBackend, key: string): Promise<string> {
  const got = await server.get(key, { signal: new AbortController().signal });
  const chunks: Uint8Array[] = [];
  if (got.kind === 'ok') for await (const chunk of got.value.body) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

/** Requests through a stack of policies; any response will do. */
export function stackWork(
  stack: Pick<ResilienceStack, 'execute'>,
  url: string,
  { signal }: WorkDeps,
): SoakWork {
  const requests = new Calls();
  const request = async (given: AbortSignal): Promise<string> => {
    const response = await fetch(url, { signal: given });
    return response.text();
  };
  return {
    calls: { stack: requests },
    load: (until) => requests.keep(() => stack.execute(request, { signal }), PAUSE_MS, until),
    settle: async () => [],
  };
}
