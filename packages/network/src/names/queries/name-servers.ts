import { onAbort } from '@holdfast/foundation';
import type { NameAnswer, NameSource } from '../resolver.ts';
import type { ServerAddress } from '../options.ts';
import { NameQuery, type QueryDeps } from './query.ts';
import { ServerScores } from './server-scores.ts';

/** Asks name servers by UDP, and by TCP where an answer does not fit or cannot be trusted. */
export interface NameServers extends NameSource {
  replace(servers: readonly ServerAddress[]): void;
}

export function createNameServers(deps: Omit<QueryDeps, 'counts'>): NameServers {
  const scores = new ServerScores();
  const counts = { queries: 0, tcpQueries: 0, hedges: 0, ignoredAnswers: 0 };
  return {
    replace: (servers) => scores.replace(servers),
    ask: (hostname, family, signal) =>
      new Promise<NameAnswer>((resolve, reject) => {
        if (signal.aborted) {
          reject(signal.reason);
          return;
        }
        const settled = (conclude: () => void): void => {
          release();
          conclude();
        };
        const query = new NameQuery(
          { ...deps, counts },
          hostname,
          family,
          (answer) => settled(() => resolve(answer)),
          (error) => settled(() => reject(error)),
        );
        const release = onAbort(signal, () => {
          query.end();
          reject(signal.reason);
        });
        query.start(scores.ordered(deps.clock.now()));
      }),
    getStats: () => ({ ...counts, servers: scores.stats() }),
  };
}
