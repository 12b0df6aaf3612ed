/** What the service answers, by hand: a test holds the routes, the filters and the answers against it. */

type Schema = Readonly<Record<string, unknown>>;

const amount: Schema = { type: 'number', minimum: 0 };
const text = (maxLength: number): Schema => ({ type: 'string', maxLength });

/** The filters of a search by their names, as {@link CatalogQuery} describes them. */
const filters: Readonly<Record<string, readonly [Schema, string]>> = {
  country: [text(16), 'The code of a country, in any case'],
  region: [text(200), 'Such as Europe, in any case'],
  group: [text(200), 'Exactly as the API spells it'],
  minDataMb: [amount, 'Megabytes; unlimited bundles have more than any amount'],
  maxDataMb: [amount, 'Megabytes'],
  unlimited: [{ type: 'boolean' }, 'Only unlimited bundles, or none of them'],
  minDurationDays: [amount, 'Days'],
  maxDurationDays: [amount, 'Days'],
  minPrice: [amount, 'In the currency of the organization'],
  maxPrice: [amount, 'In the currency of the organization'],
  roaming: [text(16), 'The code of a country in which the bundle roams'],
  text: [text(200), 'Up to 12 words, each the beginning of one in name, description or countries'],
  sort: [{ enum: ['price', 'dataAmount', 'duration', 'name'], default: 'price' }, 'The order'],
  direction: [{ enum: ['ascending', 'descending'], default: 'ascending' }, 'Of the order'],
  offset: [{ type: 'integer', minimum: 0, default: 0 }, 'The first bundle, from 0'],
  limit: [{ type: 'integer', minimum: 0, maximum: 1_000, default: 20 }, 'Bundles in the answer'],
  facets: [
    { type: 'array', items: { enum: ['country', 'region', 'group', 'unlimited'] } },
    'What to count, separated by commas',
  ],
};

const parameters = Object.entries(filters).map(([name, [schema, description]]) => {
  const parameter = { name, in: 'query', description, schema };
  return name === 'facets'
    ? Object.assign(parameter, { style: 'form', explode: false })
    : parameter;
});

const object = (properties: Readonly<Record<string, Schema>>): Schema => ({
  type: 'object',
  required: Object.keys(properties),
  properties,
});
const listOf = (items: Schema): Schema => ({ type: 'array', items });
const orNull = (schema: Schema): Schema => ({ anyOf: [schema, { type: 'null' }] });
const ref = (name: string): Schema => ({ $ref: `#/components/schemas/${name}` });

const string: Schema = { type: 'string' };
const number: Schema = { type: 'number' };
const integer: Schema = { type: 'integer' };
const boolean: Schema = { type: 'boolean' };
const anything: Schema = { type: 'object' };

const schemas: Readonly<Record<string, Schema>> = {
  Origin: object({
    source: { enum: ['api', 'cache', 'database', 'memory', 'backup'] },
    generation: integer,
    ageMs: number,
    stale: boolean,
    complete: boolean,
  }),
  BundleRow: object({
    name: string,
    price: number,
    dataAmount: number,
    unlimited: boolean,
    duration: number,
    countries: listOf(string),
    groups: listOf(string),
  }),
  Search: object({
    origin: ref('Origin'),
    total: integer,
    offset: integer,
    limit: integer,
    bundles: listOf(ref('BundleRow')),
    facets: {
      type: 'object',
      additionalProperties: listOf(object({ value: string, count: integer })),
    },
  }),
  Bundle: object({ origin: ref('Origin'), bundle: anything }),
  Attempt: object({ tier: string, cause: string, ms: number }),
  Status: object({
    health: { enum: ['pass', 'warn', 'fail'] },
    notes: listOf(string),
    origin: orNull(ref('Origin')),
    manifest: orNull(anything),
    sync: orNull(anything),
    lastSync: orNull(
      object({
        atEpochMs: number,
        durationMs: number,
        error: orNull(object({ code: orNull(string), message: string })),
      }),
    ),
    attempts: listOf(ref('Attempt')),
  }),
  Live: object({ status: { enum: ['pass'] } }),
  Ready: object({ status: { enum: ['pass', 'warn', 'fail'] }, notes: listOf(string) }),
  Problem: object({ type: string, title: string, status: integer, detail: string, code: string }),
};

const content = (type: string, schema: Schema): object => ({ [type]: { schema } });

const originHeaders = {
  Age: { description: 'Seconds since the API was asked for all of it', schema: integer },
  Warning: { description: '110 when stale, 199 when incomplete', schema: string },
  'X-Catalog-Source': { description: 'The tier', schema: string },
  'X-Catalog-Generation': { description: 'The generation', schema: integer },
};

const answer = (name: string, type = 'application/json', headers: object = {}): object => ({
  description: 'Of one generation',
  headers: { ...originHeaders, ...headers },
  content: content(type, ref(name)),
});
const refusal = (description: string): object => ({
  description,
  content: content('application/problem+json', ref('Problem')),
});
const unavailable = {
  ...refusal('Nothing can be served now'),
  headers: { 'Retry-After': { description: 'Seconds', schema: integer } },
};
const plain = (type: string, description: string): object => ({
  description,
  content: content(type, string),
});
const get = (summary: string, responses: object, own: readonly object[] = []): object => ({
  get: { summary, parameters: own, responses },
});

const name = { name: 'name', in: 'path', required: true, schema: string };

export const openApiDocument: Schema = {
  openapi: '3.1.0',
  info: {
    title: 'Catalog',
    version: '1',
    description: 'A catalog that is always searchable. Every answer is of one whole generation.',
  },
  paths: {
    '/': get('A page for search and the state of syncs', { 200: plain('text/html', 'The page') }),
    '/bundles': get(
      'Search',
      {
        200: answer('Search', 'application/json', {
          Link: { description: 'The next page, if there is one', schema: string },
        }),
        400: refusal('Names the filter, its value and what is permitted'),
        503: unavailable,
      },
      parameters,
    ),
    '/bundles/{name}': get(
      'One bundle as the API sent it',
      { 200: answer('Bundle'), 404: refusal('There is none of the name'), 503: unavailable },
      [name],
    ),
    '/status': get('What is served, and how syncs go', { 200: answer('Status') }),
    '/events': get('The status as server-sent events, whenever it changes', {
      200: plain('text/event-stream', 'Events named status, with the body of /status'),
      503: unavailable,
    }),
    '/health/live': get('Whether the process answers', {
      200: { description: 'It does', content: content('application/health+json', ref('Live')) },
    }),
    '/health/ready': get('Whether anything can be served', {
      200: answer('Ready', 'application/health+json'),
      503: {
        ...unavailable,
        content: content('application/health+json', ref('Ready')),
      },
    }),
    '/metrics': get('Metrics', { 200: plain('text/plain', 'The format of Prometheus') }),
    '/openapi.json': get('This document', {
      200: { description: 'OpenAPI 3.1', content: content('application/json', anything) },
    }),
  },
  components: { schemas },
};
