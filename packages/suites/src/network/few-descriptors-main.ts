/** Runs under a low `ulimit -n`: uses up all descriptors, and prints what each way to a name says then. */
import { lookup } from 'node:dns/promises';
import { closeSync, openSync } from 'node:fs';
import { propertyOf, sleep, systemClock } from '@holdfast/foundation';
import { createResolver } from '@holdfast/network';

const [server = '', known = '', unknown = ''] = process.argv.slice(2);
const family = 4;
const resolver = createResolver({ nameservers: [server], hostsFile: false });

const codeOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => 'found',
    (error: unknown) => propertyOf(error, 'code'),
  );

const { validUntilMs } = await resolver.resolve(known, { family });
await codeOf(lookup('localhost'));
await sleep(systemClock, Math.max(0, validUntilMs - systemClock.now()) + 1);

const taken: number[] = [];
try {
  for (;;) taken.push(openSync('/dev/null', 'r'));
} catch {
  // None is left.
}
const lookupCode = await codeOf(lookup('localhost'));
const error: unknown = await resolver
  .resolve(unknown, { family })
  .catch((caught: unknown) => caught);
const plugged = await new Promise((resolve) => {
  resolver.lookup(unknown, { family }, (failure) => resolve(failure?.code));
});
const { stale } = await resolver.resolve(known, { family });
for (const file of taken) closeSync(file);
const afterwards = await codeOf(resolver.resolve(unknown, { family }));
await resolver.close();
process.stdout.write(
  JSON.stringify({
    lookupCode,
    kind: propertyOf(error, 'kind'),
    pluggedCode: plugged,
    staleKind: propertyOf(stale?.cause, 'kind'),
    afterwards,
  }),
);
