/**
 * Runs under a low `ulimit -n`: makes clients and resolvers before or amid a shortage of descriptors, calls then and
 * afterwards, and prints what came of it.
 */
import { closeSync, openSync } from 'node:fs';
import { createServer } from 'node:http';
import { propertyOf } from '@holdfast/foundation';
import { createGateways, createResilientFetch, createResolver } from '@holdfast/network';

const [hostsFile = '', resolvConf = '', when = ''] = process.argv.slice(2);
const server = createServer((_, response) => response.end('answer'));
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
const address = server.address();
const port = typeof address === 'object' ? (address?.port ?? 0) : 0;

const taken: number[] = [];
function takeAll(): void {
  try {
    for (;;) taken.push(openSync('/dev/null', 'r'));
  } catch {
    // None is left.
  }
}

/** The code and kind of the error, and of the one behind it. */
async function seen(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    (value) => value,
    (error: unknown) => {
      const cause = propertyOf(error, 'cause');
      return [error, cause].map(
        (each) => `${String(propertyOf(each, 'code'))} ${String(propertyOf(each, 'kind'))}`,
      );
    },
  );
}

const clientOptions = { allowPrivate: ['127.0.0.1'], retry: { maxAttempts: 1 } };
const resolverOptions = { hostsFile, resolvConf };
const url = `http://127.0.0.1:${port}/`;
const get = (fetch: ReturnType<typeof createResilientFetch>) =>
  seen(fetch(url).then((response) => response.text()));
const download = (gateways: ReturnType<typeof createGateways>) =>
  seen(gateways.download('/').then(({ bytes }) => Buffer.from(bytes).toString()));
const addresses = (resolver: ReturnType<typeof createResolver>, name: string) =>
  seen(resolver.resolve(name).then((set) => set.addresses.map((each) => each.address)));
const looked = (resolver: ReturnType<typeof createResolver>) =>
  new Promise((resolve) => {
    resolver.lookup('localhost', { family: 4, hints: 0 }, (error, found) =>
      resolve(error === null ? found : error.code),
    );
  });

// The first client of a process reads what all of them need.
const first = when === 'before' ? createResilientFetch(clientOptions) : undefined;
const early = createResolver(resolverOptions);
takeAll();
const amid = createResilientFetch(clientOptions);
const late = createResolver(resolverOptions);
const gateways = createGateways({ gateways: [url], allowPrivate: ['127.0.0.1'] });
const short = {
  first: await get(first ?? amid),
  amid: await get(amid),
  transport: amid.transport,
  localhost: await addresses(early, 'localhost'),
  looked: await looked(early),
  hosts: await addresses(early, 'in-hosts.test'),
  unread: await addresses(late, 'in-hosts.test'),
};
await download(gateways);
for (const file of taken.splice(0)) closeSync(file);
const afterwards = {
  first: await get(first ?? amid),
  amid: await get(amid),
  fresh: await get(createResilientFetch(clientOptions)),
  refused: await seen(createResilientFetch()(url)),
  gateways: await download(gateways),
  unread: await addresses(late, 'in-hosts.test'),
};
process.stdout.write(JSON.stringify({ short, afterwards }));
process.exit();
