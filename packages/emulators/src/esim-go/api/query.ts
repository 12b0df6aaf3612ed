import { HoldfastError } from '@holdfast/foundation';
import type { RowQuery, SortField } from '../catalog/catalog-source.ts';
import type { EsimGoSettings } from './options.ts';

/** An error response of the API. */
export class EsimGoError extends HoldfastError {
  readonly code = 'ESIM_GO_ERROR';
  readonly status: number;

  constructor(status: number, message: string) {
    super(message, { outcome: 'not-applied' });
    this.status = status;
  }
}

/** A request of the list. */
interface PageQuery {
  /** As it was asked, from `firstPage` on. */
  readonly page: number;
  readonly perPage: number;
  readonly rows: RowQuery;
}

const sortFields: Readonly<Record<string, SortField>> = {
  autostart: 'autostart',
  bundlename: 'name',
  dataamount: 'dataAmount',
  description: 'description',
  duration: 'duration',
  name: 'name',
  price: 'price',
  roamingenabled: 'roamingEnabled',
  speed: 'speed',
};

/** @throws EsimGoError with status 400, or 401 for too many rows where they are rejected. */
export function parsePageQuery(query: URLSearchParams, settings: EsimGoSettings): PageQuery {
  const direction = query.get('direction')?.toLowerCase();
  if (direction !== undefined && direction !== 'asc' && direction !== 'desc') {
    throw new EsimGoError(400, 'direction must be asc or desc');
  }
  const countries = query.get('countries')?.split(',');
  return {
    page: pageOf(query, settings),
    perPage: perPageOf(query, settings),
    rows: {
      group: query.get('group') ?? undefined,
      countries: countries?.map((iso) => iso.trim().toUpperCase()),
      region: query.get('region') ?? undefined,
      description: query.get('description') ?? undefined,
      orderBy: sortFieldOf(query.get('orderBy'), settings),
      descending: direction === 'desc',
    },
  };
}

function pageOf(query: URLSearchParams, settings: EsimGoSettings): number {
  const { firstPage, belowFirstPage } = settings;
  const page = wholeNumber(query, 'page') ?? firstPage;
  if (page >= firstPage) return page;
  if (belowFirstPage === 'first') return firstPage;
  throw new EsimGoError(400, `page must be at least ${firstPage}`);
}

function perPageOf(query: URLSearchParams, settings: EsimGoSettings): number {
  const { defaultPerPage, maxPerPage, overMaxPerPage } = settings;
  const perPage = wholeNumber(query, 'perPage') ?? defaultPerPage;
  if (perPage === 0) throw new EsimGoError(400, 'perPage must be at least 1');
  if (perPage <= maxPerPage || overMaxPerPage === 'accept') return perPage;
  if (overMaxPerPage === 'clamp') return maxPerPage;
  throw new EsimGoError(401, `perPage must be at most ${maxPerPage}`);
}

function wholeNumber(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null) return undefined;
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new EsimGoError(400, `${name} must be a whole number`);
}

function sortFieldOf(
  orderBy: string | null,
  { unknownOrderBy }: EsimGoSettings,
): SortField | undefined {
  if (orderBy === null) return undefined;
  const name = orderBy.toLowerCase();
  const field = Object.hasOwn(sortFields, name) ? sortFields[name] : undefined;
  if (field === undefined && unknownOrderBy === 'reject') {
    throw new EsimGoError(400, 'orderBy is not a field of bundles');
  }
  return field;
}
