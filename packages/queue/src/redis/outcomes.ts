import { type Clock, sleep } from '@holdfast/foundation';
import type { OutcomeState, OutcomeStore, OutcomeWatch } from '../outcomes/outcome-store.ts';
import type { Connections } from './connection/connections.ts';
import type { ManagedConnection } from './connection/managed-connection.ts';
import { type TopicKeys, topicKeys } from './keys.ts';
import { parseEntries, parseEntryIds, parseOutcomeStates, parseNews } from './replies.ts';
import { reportProgressScript } from './scripts/outcome-scripts.ts';
import { runScript } from './scripts/script.ts';

/** The longest that a read of news blocks. */
const BLOCK_MS = 5_000;
/** The pause after a failed read. */
const RETRY_MS = 250;
/** The most news that one read returns. */
const MAX_NEWS = 500;

/** The outcomes of jobs in Redis: a key for each, and a stream that tells which of them are new. */
export class RedisOutcomes implements OutcomeStore {
  readonly #connections: Connections;
  readonly #prefix: string;
  readonly #clock: Clock;

  constructor(connections: Connections, { prefix, clock }: { prefix: string; clock: Clock }) {
    this.#connections = connections;
    this.#prefix = prefix;
    this.#clock = clock;
  }

  async read(topic: string, ids: readonly string[]): Promise<OutcomeState[]> {
    const keys = this.#keys(topic);
    const names = ids.flatMap((id) => [keys.result(id), keys.settled(id), keys.progress(id)]);
    const connection = this.#connections.forTopic(topic);
    return parseOutcomeStates(await connection.call((client) => client.call('MGET', ...names)));
  }

  async report(topic: string, id: string, progress: string, ttlMs: number): Promise<void> {
    const keys = this.#keys(topic);
    const names = [keys.progress(id), keys.news];
    const connection = this.#connections.forTopic(topic);
    await connection.call((client) =>
      runScript(client, reportProgressScript, names, [id, ttlMs, progress]),
    );
  }

  watch(topic: string, onNews: (ids: readonly string[] | 'all') => void): OutcomeWatch {
    const blocking = this.#connections.createBlocking(topic);
    const commands = this.#connections.forTopic(topic);
    const closing = new AbortController();
    blocking.open();
    // A connection that is silent may be lost like the other one, which has shorter deadlines.
    commands.onDisconnected(closing, (error) => blocking.disconnect(error));
    const { news } = this.#keys(topic);
    const watched = this.#follow(blocking, news, onNews, closing.signal);
    return {
      async close() {
        closing.abort();
        commands.onDisconnected(closing, undefined);
        await blocking.close();
        await watched;
      },
    };
  }

  /**
   * Reads news until the signal is aborted. After each failure anything may be new, and the numbers of the news may
   * have gone back, on another server.
   */
  async #follow(
    connection: ManagedConnection,
    news: string,
    onNews: (ids: readonly string[] | 'all') => void,
    signal: AbortSignal,
  ): Promise<void> {
    while (!signal.aborted) {
      try {
        await connection.whenConnected(signal);
        let last = await newestOf(connection, news);
        onNews('all');
        while (!signal.aborted) {
          const from = last;
          const reply = await connection.call(
            (client) =>
              client.call('XREAD', 'COUNT', MAX_NEWS, 'BLOCK', BLOCK_MS, 'STREAMS', news, from),
            BLOCK_MS,
            true,
          );
          const entries = parseEntries(reply, news);
          if (entries.length === 0) continue;
          last = parseEntryIds(entries).at(-1) ?? last;
          onNews(parseNews(entries));
        }
      } catch {
        await sleep(this.#clock, RETRY_MS, signal).catch(() => undefined);
      }
    }
  }

  #keys(topic: string): TopicKeys {
    return topicKeys(this.#prefix, topic);
  }
}

async function newestOf(connection: ManagedConnection, news: string): Promise<string> {
  const reply = await connection.call((client) =>
    client.call('XREVRANGE', news, '+', '-', 'COUNT', 1),
  );
  return parseEntryIds(reply)[0] ?? '0-0';
}
