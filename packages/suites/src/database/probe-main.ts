/** One probe of one pool, in a process that may be ended by it: `node probe-main.ts <pool> <probe>`. */
import { writeSync } from 'node:fs';
import { probes, runProbe } from '@holdfast/database/probes';
import { openPostgresFixture } from './postgres-fixture.ts';
import { pools } from './peers.ts';

const [, , pool = '', name = ''] = process.argv;
const open = pools[pool];
const probe = probes.find((each) => each.name === name);
if (open === undefined || probe === undefined) throw new TypeError(`no ${pool} or no ${name}`);

const fixture = await openPostgresFixture();
const { proxy, url } = await fixture.proxy();
const { primary } = fixture;
const row = await runProbe(probe, {
  open,
  server: {
    url: primary.url,
    proxiedUrl: url,
    kill: () => primary.kill(),
    start: () => primary.start(),
    freeze: () => primary.freeze(),
    thaw: () => primary.thaw(),
    ask: (sql) => fixture.ask(sql),
    link: {
      swallow: () => proxy.faults.set('blackhole'),
      cutReplies: (maxBytes) => proxy.faults.set('limitData', { maxBytes, direction: 'toClient' }),
      heal: () => proxy.heal(),
    },
  },
});
writeSync(1, `${JSON.stringify(row)}\n`);
// The verdict stands; what dies of the server's end now is another matter.
process.on('uncaughtException', () => undefined);
await fixture.close();
// What the probe left hanging must not keep the process.
process.exit(0);
