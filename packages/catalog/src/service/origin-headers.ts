import type { AnswerOrigin } from '../catalog.ts';

/**
 * What an answer says of itself in headers: `Age`, and `Warning` with the codes of RFC 7234 where it is stale (110) or
 * incomplete (199). The standard has no header for the tier and the generation.
 */
export function originHeaders(origin: AnswerOrigin): Record<string, string | string[]> {
  const warnings: string[] = [];
  if (origin.stale) warnings.push('110 - "Response is Stale"');
  if (!origin.complete) warnings.push('199 - "Some groups are of an earlier generation"');
  return {
    age: String(Math.max(0, Math.floor(origin.ageMs / 1_000))),
    'cache-control': 'no-cache',
    'x-catalog-generation': String(origin.generation),
    'x-catalog-source': origin.source,
    ...(warnings.length > 0 ? { warning: warnings.join(', ') } : {}),
  };
}
