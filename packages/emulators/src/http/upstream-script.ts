import { type Random, seededRandom } from '@holdfast/foundation';
import { type PathPattern, parsePattern } from './path-pattern.ts';
import type { ResolvedResponse, ResolvedRoute, UpstreamSettings } from './settings.ts';

/** The response that the script chooses. */
export type ScriptedResponse =
  | { readonly kind: 'routed'; readonly route: string; readonly response: ResolvedResponse }
  /** A random failure. */
  | { readonly kind: 'failure' }
  /** None of the routes matches. */
  | { readonly kind: 'unknown' }
  /** There are no routes: the response echoes the request. */
  | { readonly kind: 'echo' };

/** Chooses the response to each request. Plain state: no sockets, no time. */
export interface UpstreamScript {
  /** New routes start with their first responses; a new rate or seed restarts the random numbers. */
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
      // Drawn for every request, so that the failures of a seed do not depend on the routes.
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
        response: responseTo(part.route, part.requests),
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

/** @param request the number of the request to the route, from 1. */
function responseTo(route: ResolvedRoute, request: number): ResolvedResponse {
  let left = request;
  for (const response of route.first) {
    if (left <= response.times) return response;
    left -= response.times;
  }
  return route;
}
