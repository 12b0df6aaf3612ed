import type { EsimGoCall } from './faults.ts';

/** What a request asks for. */
export interface EsimGoRoute {
  readonly call: EsimGoCall;
  /** Of a bundle. */
  readonly name: string;
}

/** @returns undefined for a path that the API does not have. */
export function routeOf({ pathname, searchParams }: URL): EsimGoRoute | undefined {
  const [, path = ''] = /^(?:\/v2(?:\.[1-5])?)?(\/.*)$/.exec(pathname) ?? [];
  const bundle = /^\/catalogue\/bundle\/([^/]+)$/.exec(path)?.[1];
  if (bundle !== undefined) return { call: { operation: 'bundle' }, name: decoded(bundle) };
  if (path === '/organisation/groups') return { call: { operation: 'groups' }, name: '' };
  if (path !== '/catalogue') return undefined;
  const group = searchParams.get('group');
  const page = searchParams.get('page');
  const call = {
    operation: 'catalogue' as const,
    ...(group !== null && { group }),
    ...(page !== null && /^\d+$/.test(page) && { page: Number(page) }),
  };
  return { call, name: '' };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
