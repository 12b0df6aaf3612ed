import type { StorageBackend } from '@holdfast/storage';
import type { LedgerResult } from '../ledger.ts';

/** Records the accepted writes of each key, and compares them with a server. */
export class ObjectLedger {
  readonly #writes: {
    readonly key: string;
    readonly text: string | undefined;
    accepted: boolean;
  }[] = [];

  /** Records an offered write, or a removal for `undefined`; call the returned function once it is accepted. */
  offered(key: string, text: string | undefined): () => void {
    const write = { key, text, accepted: false };
    this.#writes.push(write);
    return () => {
      write.accepted = true;
    };
  }

  get accepted(): number {
    return this.#writes.filter(({ accepted }) => accepted).length;
  }

  /**
   * Compares with a server: each key has the last accepted write, or a later one that was offered and whose
   * acceptance is unknown. An earlier write than the last accepted one is a loss.
   */
  async verdict(server: StorageBackend): Promise<LedgerResult> {
    const lost: number[] = [];
    const outOfOrder: number[] = [];
    for (const key of new Set(this.#writes.map((write) => write.key))) {
      const numbered = this.#writes
        .map((write, number) => ({ ...write, number }))
        .filter((write) => write.key === key);
      const last = numbered.findLastIndex(({ accepted }) => accepted);
      const wanted = numbered.slice(Math.max(0, last)).map(({ text }) => text);
      if (last === -1) wanted.push(undefined);
      const found = await read(server, key);
      if (wanted.includes(found)) continue;
      const earlier = numbered.slice(0, last).some(({ text }) => text === found);
      const number = numbered[last]?.number ?? -1;
      if (earlier && found !== undefined) outOfOrder.push(number);
      else lost.push(number);
    }
    const { accepted } = this;
    const bad = lost.length + outOfOrder.length;
    return { accepted, delivered: accepted - bad, lost, duplicated: [], outOfOrder };
  }
}

async function read(server: StorageBackend, key: string): Promise<string | undefined> {
  const got = await server.get(key, { signal: new AbortController().signal });
  if (got.kind === 'notFound') return undefined;
  if (got.kind !== 'ok')
    throw new Error(`${server.name} ${key}: ${got.message}`, { cause: got.cause });
  const chunks: Uint8Array[] = [];
  for await (const chunk of got.value.body) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

/** Compares both servers, in one verdict. */
export async function compareBackends(
  ledger: ObjectLedger,
  servers: readonly StorageBackend[],
): Promise<LedgerResult> {
  const verdicts = await Promise.all(servers.map((server) => ledger.verdict(server)));
  const lost = verdicts.flatMap((verdict) => verdict.lost);
  const outOfOrder = verdicts.flatMap((verdict) => verdict.outOfOrder);
  const { accepted } = ledger;
  const delivered = accepted - new Set([...lost, ...outOfOrder]).size;
  return { accepted, delivered, lost, duplicated: [], outOfOrder };
}
