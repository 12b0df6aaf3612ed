import type { Paging } from './catalog-client.ts';
import {
  CatalogMalformedError,
  CatalogRequestRefusedError,
  CatalogUnauthorizedError,
} from './errors.ts';
import { hashBody, parsePage } from './page-body.ts';
import type { Requests } from './requests.ts';

/** How a page is asked for. */
type PageForm = Omit<Paging, 'firstPage'>;

interface Probed {
  readonly form: PageForm;
  readonly path: string;
  readonly body: Uint8Array;
}

/** The API does not take the page, the number of rows, the order, or the key. */
export type PageRefusal = CatalogRequestRefusedError | CatalogUnauthorizedError;

interface ProbedPaging {
  readonly paging: Paging;
  /** Whether it may be remembered: an empty group shows nothing. */
  readonly isCertain: boolean;
}

export function isEqualPaging(one: Paging, other: Paging): boolean {
  return (
    one.firstPage === other.firstPage &&
    one.perPage === other.perPage &&
    one.isOrdered === other.isOrdered
  );
}

/** The path of one page. */
export function pagePath(group: string, page: number, { perPage, isOrdered }: PageForm): string {
  const query = new URLSearchParams({ group, page: String(page), perPage: String(perPage) });
  if (isOrdered) {
    query.set('orderBy', 'bundleName');
    query.set('direction', 'asc');
  }
  return `/catalogue?${query.toString()}`;
}

/** Whether a request may be refused because of its page, its number of rows or its order. */
export function isRefusal(error: unknown): error is PageRefusal {
  if (error instanceof CatalogUnauthorizedError) return error.status === 401;
  return error instanceof CatalogRequestRefusedError;
}

/**
 * Finds out what the documents leave open: how many rows a page may have, which answers 400, 401 or fewer rows if it is too
 * many; whether `orderBy` is taken; and whether the first page is 0 or 1.
 * @throws CatalogApiError; the signal's own reason
 */
export async function probePaging(
  requests: Requests,
  group: string,
  perPages: readonly number[],
  signal: AbortSignal,
): Promise<ProbedPaging> {
  const tryPage = (page: number, forms: readonly PageForm[]): Promise<Probed | PageRefusal> =>
    tryForms(requests, group, page, forms, signal);
  const forms = [true, false].flatMap((isOrdered) =>
    perPages.map((perPage) => ({ perPage, isOrdered })),
  );
  const one = await tryPage(1, forms);
  const zero = await tryPage(0, 'form' in one ? [one.form] : forms);
  if (!('form' in one)) {
    if ('form' in zero) return { paging: { ...zero.form, firstPage: 0 }, isCertain: true };
    if (one instanceof CatalogUnauthorizedError) requests.alert(one);
    throw one;
  }
  const firstPage = 'form' in zero ? firstOf(zero, one) : 1;
  return { paging: { ...one.form, firstPage: firstPage ?? 1 }, isCertain: firstPage !== undefined };
}

/** `undefined` if there is nothing in either. */
function firstOf(zero: Probed, one: Probed): number | undefined {
  const zeroRows = rowCountOf(zero, 0);
  const oneRows = rowCountOf(one, 1);
  if (zeroRows === 0 && oneRows === 0) return undefined;
  if (zeroRows === 0) return 1;
  // Some answer the first page to what lies before it.
  return hashBody(zero.body).sha256 === hashBody(one.body).sha256 ? 1 : 0;
}

function rowCountOf({ body, path }: Probed, page: number): number {
  const parsed = parsePage(body, page);
  if ('rowCount' in parsed) return parsed.rowCount;
  throw new CatalogMalformedError(path, parsed.reason, parsed.cause);
}

async function tryForms(
  requests: Requests,
  group: string,
  page: number,
  forms: readonly PageForm[],
  signal: AbortSignal,
): Promise<Probed | PageRefusal> {
  let last: PageRefusal | undefined;
  for (const form of forms) {
    // A 401 is no answer to the order.
    if (!form.isOrdered && last?.status === 401) break;
    const path = pagePath(group, page, form);
    try {
      return { form, path, body: await requests.get(path, signal, true) };
    } catch (error) {
      if (!isRefusal(error)) throw error;
      last = error;
    }
  }
  if (last === undefined) throw new RangeError('no form of a page to try');
  return last;
}
