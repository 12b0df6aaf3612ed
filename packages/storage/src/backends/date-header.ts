/** The moment that a `Date` header tells, as milliseconds since 1970; `undefined` for what is no date. */
export function epochMsOfDate(header: string | null | undefined): number | undefined {
  const epochMs = Date.parse(header ?? '');
  return Number.isNaN(epochMs) ? undefined : epochMs;
}
