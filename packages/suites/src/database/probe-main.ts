/** One probe of one pool, in a process that the pool may end: `node probe-main.ts <pool> <probe>`. */
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
// The verdict is final: errors from the server's shutdown do not change it.
process.on('uncaughtException', () => undefined);
await fixture.close();
// Pending work of the probe must not keep the process alive.
process.exit(0);
