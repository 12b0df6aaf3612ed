/** The search libraries, each as its documentation would have it, and ours. All answer with a total and the first prices. */
import { type Bundle, type CatalogQuery, IndexBuilder, openIndex } from '@holdfast/catalog';
import { create, insertMultiple, search } from '@orama/orama';
import { Document } from 'flexsearch';
import MiniSearch from 'minisearch';

export interface Answer {
  readonly total: number;
  /** Of the first 20, the cheapest first. */
  readonly prices: readonly number[];
}

export interface Engine {
  readonly name: string;
  build(bundles: readonly Bundle[]): Promise<BuiltEngine>;
}

export interface BuiltEngine {
  readonly answer: (query: CatalogQuery) => Answer | Promise<Answer>;
  /** Memory that the heap's statistics do not count. */
  readonly sharedBytes?: number;
}

const PAGE = 20;
/** Over any amount; the libraries' ranges take no Infinity. */
const UNLIMITED_MB = 1e12;

interface Flat {
  readonly id: number;
  readonly text: string;
  readonly countries: string[];
  readonly regions: string[];
  readonly amount: number;
  readonly price: number;
}

function flatten(bundles: readonly Bundle[]): Flat[] {
  return bundles.map(({ name, description, countries, unlimited, dataAmount, price }, id) => ({
    id,
    text: [name.replaceAll('_', ' '), description, ...countries.map((one) => one.name)].join(' '),
    countries: [...new Set(countries.map(({ iso }) => iso))],
    regions: [...new Set(countries.map(({ region }) => region))],
    amount: unlimited ? UNLIMITED_MB : dataAmount,
    price,
  }));
}

function matches({ countries, regions, amount, price }: Flat, query: CatalogQuery): boolean {
  return (
    (query.country === undefined || countries.includes(query.country)) &&
    (query.region === undefined || regions.includes(query.region)) &&
    (query.minDataMb === undefined || amount >= query.minDataMb) &&
    (query.maxDataMb === undefined || amount <= query.maxDataMb) &&
    (query.minPrice === undefined || price >= query.minPrice) &&
    (query.maxPrice === undefined || price <= query.maxPrice)
  );
}

function firstOf(found: readonly Flat[]): Answer {
  const cheapest = found.toSorted((left, right) => left.price - right.price);
  return { total: found.length, prices: cheapest.slice(0, PAGE).map(({ price }) => price) };
}

export const ours: Engine = {
  name: 'holdfast',
  async build(bundles) {
    const builder = new IndexBuilder({ maxBytes: 1_024 * 1_048_576 });
    for (let at = 0; at < bundles.length; at += 500) builder.add(bundles.slice(at, at + 500));
    const index = openIndex(builder.finish().buffers);
    const answer = (query: CatalogQuery): Answer => {
      const { total, rows } = index.search(query);
      return { total, prices: rows.map(({ price }) => price) };
    };
    return { answer, sharedBytes: index.bytes };
  },
};

/** What every answer is compared with. */
export const scan: Engine = {
  name: 'array scan',
  async build(bundles) {
    const all = flatten(bundles).map((flat) => ({
      flat,
      words: flat.text.toLowerCase().split(/[\s,]+/u),
    }));
    const answer = ({ text, ...query }: CatalogQuery): Answer => {
      const found = all.filter(
        ({ flat, words }) =>
          matches(flat, query) &&
          (text === undefined || words.some((word) => word.startsWith(text))),
      );
      return firstOf(found.map(({ flat }) => flat));
    };
    return { answer };
  },
};

export const miniSearch: Engine = {
  name: 'MiniSearch',
  async build(bundles) {
    const all = flatten(bundles);
    const index = new MiniSearch<Flat>({ fields: ['text'] });
    index.addAll(all);
    const answer = ({ text, ...query }: CatalogQuery): Answer => {
      const flatOf = (id: number): Flat | undefined => all[id];
      const results = index.search(text ?? MiniSearch.wildcard, {
        prefix: true,
        filter: ({ id }) => {
          const flat = flatOf(id);
          return flat !== undefined && matches(flat, query);
        },
      });
      return firstOf(results.flatMap(({ id }) => flatOf(id) ?? []));
    };
    return { answer };
  },
};

export const orama: Engine = {
  name: 'Orama',
  async build(bundles) {
    const db = create({
      schema: {
        text: 'string',
        countries: 'enum[]',
        regions: 'enum[]',
        amount: 'number',
        price: 'number',
      } as const,
      sort: { unsortableProperties: ['text'] },
    });
    const documents = flatten(bundles).map(({ text, countries, regions, amount, price }) => ({
      text,
      countries,
      regions,
      amount,
      price,
    }));
    await insertMultiple(db, documents, 1_000);
    const answer = async ({ text, ...query }: CatalogQuery): Promise<Answer> => {
      const { country, region, minDataMb, maxDataMb, minPrice, maxPrice } = query;
      const where = {
        ...(country === undefined ? {} : { countries: { containsAll: [country] } }),
        ...(region === undefined ? {} : { regions: { containsAll: [region] } }),
        ...between('amount', minDataMb, maxDataMb),
        ...between('price', minPrice, maxPrice),
      };
      const { count, hits } = await search(db, {
        // With an empty term, naming properties would cost seconds.
        ...(text === undefined ? {} : { term: text, properties: ['text'] }),
        where,
        sortBy: { property: 'price', order: 'ASC' },
        limit: PAGE,
      });
      return { total: count, prices: hits.map(({ document }) => document.price) };
    };
    return { answer };
  },
};

function between(field: string, min: number | undefined, max: number | undefined) {
  if (min === undefined && max === undefined) return {};
  return { [field]: { between: [min ?? 0, max ?? UNLIMITED_MB] } };
}

export const flexSearch: Engine = {
  name: 'FlexSearch',
  async build(bundles) {
    const all = flatten(bundles);
    const index = new Document({
      document: {
        id: 'id',
        index: [{ field: 'text', tokenize: 'forward' }],
        tag: [{ field: 'countries' }, { field: 'regions' }],
      },
    });
    for (const flat of all) index.add({ ...flat });
    const answer = ({ text, ...query }: CatalogQuery): Answer => {
      const { country, region } = query;
      const tag = {
        ...(country === undefined ? {} : { countries: country }),
        ...(region === undefined ? {} : { regions: region }),
      };
      const limit = all.length;
      const results =
        text === undefined
          ? index.search({ tag, limit })
          : index.search(text, { limit, index: ['text'] });
      const ids = new Set(results.flatMap(({ result }) => result.map(Number)));
      const found = [...ids].flatMap((id) => all[id] ?? []);
      return firstOf(found.filter((flat) => matches(flat, query)));
    };
    return { answer };
  },
};
