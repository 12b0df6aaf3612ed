/** The time of a `Date` header in milliseconds since 1970; `undefined` for a value that is no date. */
export function epochMsOfDate(header: string | null | undefined): number | undefined {
  const epochMs = Date.parse(header ?? '');
  return Number.isNaN(epochMs) ? undefined : epochMs;
}
