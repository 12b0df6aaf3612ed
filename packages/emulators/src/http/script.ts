import { type Random, seededRandom } from '@holdfast/foundation';
import { type PathPattern, parsePattern } from './path-pattern.ts';
import type { ResolvedAnswer, ResolvedRoute, UpstreamSettings } from './settings.ts';

/** What is to be said to a request. */
export type ScriptedAnswer =
  | { readonly is: 'routed'; readonly route: string; readonly answer: ResolvedAnswer }
  /** Struck by chance. */
  | { readonly is: 'failure' }
  /** There are routes, and none of them fits. */
  | { readonly is: 'unknown' }
  /** There are no routes: what was asked is the answer. */
  | { readonly is: 'echo' };

/** Which answer is whose turn. Plain state: no sockets, no time. */
export interface UpstreamScript {
  /** New routes begin with their first answers; a new rate or seed begins with its first draw. */
  replace(settings: UpstreamSettings): void;
  next(method: string, path: string): ScriptedAnswer;
}

interface Part {
  readonly route: ResolvedRoute;
  readonly pattern: PathPattern;
  asked: number;
}

export function createScript(settings: UpstreamSettings): UpstreamScript {
  let { routes, failureRate, seed } = settings;
  let parts = partsOf(settings);
  let random: Random = seededRandom(seed);

  return {
    replace(next) {
      if (JSON.stringify(next.routes) !== JSON.stringify(routes)) parts = partsOf(next);
      if (next.failureRate !== failureRate || next.seed !== seed) random = seededRandom(next.seed);
      ({ routes, failureRate, seed } = next);
    },
    next(method, path) {
      // Drawn for every request, so that those of a seed do not depend on the script.
      if (random() < failureRate) return { is: 'failure' };
      if (parts.length === 0) return { is: 'echo' };
      const part = parts.find(({ route, pattern }) => {
        return (route.method ?? method) === method && pattern.matches(path);
      });
      if (part === undefined) return { is: 'unknown' };
      part.asked += 1;
      return { is: 'routed', route: part.route.path, answer: answerAt(part.route, part.asked) };
    },
  };
}

function partsOf({ routes }: UpstreamSettings): Part[] {
  return routes.flatMap((route) => {
    const pattern = parsePattern(route.path);
    return pattern === undefined ? [] : [{ route, pattern, asked: 0 }];
  });
}

/** @param turn which of the requests to the route it answers, from 1. */
function answerAt(route: ResolvedRoute, turn: number): ResolvedAnswer {
  let left = turn;
  for (const answer of route.first) {
    if (left <= answer.times) return answer;
    left -= answer.times;
  }
  return route;
}
