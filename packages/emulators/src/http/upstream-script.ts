import { type Random, seededRandom } from '@holdfast/foundation';
import { type PathPattern, parsePattern } from './path-pattern.ts';
import type { ResolvedResponse, ResolvedRoute, UpstreamSettings } from './settings.ts';

/** What is to be said to a request. */
export type ScriptedResponse =
  | { readonly kind: 'routed'; readonly route: string; readonly answer: ResolvedResponse }
  /** Struck by chance. */
  | { readonly kind: 'failure' }
  /** There are routes, and none of them fits. */
  | { readonly kind: 'unknown' }
  /** There are no routes: what was asked is the answer. */
  | { readonly kind: 'echo' };

/** Which answer is whose turn. Plain state: no sockets, no time. */
export interface UpstreamScript {
  /** New routes begin with their first answers; a new rate or seed begins with its first draw. */
  replace(settings: UpstreamSettings): void;
  next(method: string, path: string): ScriptedResponse;
}

interface ScriptedRoute {
  readonly route: ResolvedRoute;
  readonly pattern: PathPattern;
  requests: number;
}

export function createScript(settings: UpstreamSettings): UpstreamScript {
  let { routes, failureRate, seed } = settings;
  let scripted = scriptedRoutes(settings);
  let random: Random = seededRandom(seed);

  return {
    replace(next) {
      if (JSON.stringify(next.routes) !== JSON.stringify(routes)) scripted = scriptedRoutes(next);
      if (next.failureRate !== failureRate || next.seed !== seed) random = seededRandom(next.seed);
      ({ routes, failureRate, seed } = next);
    },
    next(method, path) {
      // Drawn for every request, so that those of a seed do not depend on the script.
      if (random() < failureRate) return { kind: 'failure' };
      if (scripted.length === 0) return { kind: 'echo' };
      const part = scripted.find(({ route, pattern }) => {
        return (route.method ?? method) === method && pattern.matches(path);
      });
      if (part === undefined) return { kind: 'unknown' };
      part.requests += 1;
      return {
        kind: 'routed',
        route: part.route.path,
        answer: responseTo(part.route, part.requests),
      };
    },
  };
}

function scriptedRoutes({ routes }: UpstreamSettings): ScriptedRoute[] {
  return routes.flatMap((route) => {
    const pattern = parsePattern(route.path);
    return pattern === undefined ? [] : [{ route, pattern, requests: 0 }];
  });
}

/** @param turn which of the requests to the route it answers, from 1. */
function responseTo(route: ResolvedRoute, turn: number): ResolvedResponse {
  let left = turn;
  for (const answer of route.first) {
    if (left <= answer.times) return answer;
    left -= answer.times;
  }
  return route;
}
