/** The `Cache-Control` header of an object that others may keep for `maxAgeSeconds`. */
export function cacheControlOf(maxAgeSeconds: number): string {
  return `max-age=${maxAgeSeconds}`;
}

/** The `maxAgeSeconds` of an upload that keeps this `Cache-Control` header; the default without one. */
export function keptMaxAge(cacheControl: string | undefined): { maxAgeSeconds?: number } {
  if (cacheControl === undefined) return {};
  if (/\bno-(?:cache|store)\b/i.test(cacheControl)) return { maxAgeSeconds: 0 };
  const seconds = /\bmax-age=(\d{1,8})\b/i.exec(cacheControl)?.[1];
  return seconds === undefined ? {} : { maxAgeSeconds: Number(seconds) };
}
