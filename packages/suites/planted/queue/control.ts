import type { PlantedBug } from '../planted-bug.ts';

const CONTRACT = 'redis-failover/jobs/contract';
const OUTAGES = 'redis-failover/control/outages';
const MEMORY = 'packages/queue/test/contract';
const MODEL = 'packages/queue/test/model/enqueue-model';
const CRASH_LOOPS = 'redis-failover/consumers/crash-loops';
const SCRIPTS = 'packages/queue/src/redis/scripts';

export const queueControlBugs: readonly PlantedBug[] = [
  {
    name: 'a consumer that waits for jobs takes those of a paused topic',
    file: `${SCRIPTS}/control-scripts.ts`,
    sound: "redis.call('XGROUP', 'SETID', base, '${GROUP}', '${END}')",
    broken: '',
    tests: { path: CONTRACT, name: 'and none is taken until it is resumed' },
  },
  {
    name: 'a job that is handed back is taken although its topic is paused',
    file: `${SCRIPTS}/maintenance-scripts.ts`,
    sound: 'if isPaused(base) then room = 0 end\nif room',
    broken: 'if room',
    tests: { path: CONTRACT, name: 'neither released nor orphaned' },
  },
  {
    name: 'in memory, a paused topic hands out its jobs',
    file: 'packages/queue/src/memory/stored-topic.ts',
    sound: 'if (this.isPaused) return [];',
    broken: '',
    tests: { path: MEMORY, name: 'and none is taken until it is resumed' },
  },
  {
    name: 'a cancelled job goes to the next consumer when its own dies',
    file: `${SCRIPTS}/maintenance-scripts.ts`,
    sound: 'not dropCancelled(stream, group, id) and redis.call',
    broken: 'redis.call',
    tests: { path: OUTAGES, name: 'whose consumer dies' },
  },
  {
    name: 'a cancelled job that is handed back waits again',
    file: `${SCRIPTS}/maintenance-scripts.ts`,
    sound: 'if dropCancelled(stream, group, entry[1]) then return end',
    broken: '',
    tests: { path: CONTRACT, name: 'told until the job ends' },
  },
  {
    name: 'an operation behind a refused job is applied, and the job is passed over for ever',
    file: `${SCRIPTS}/topic-scripts.ts`,
    sound: 'refused > 0 or room <= 0',
    broken: 'room <= 0',
    tests: { path: CONTRACT, name: 'behind a job that a full topic refuses' },
  },
  {
    name: 'the journal stores an operation as a job',
    file: 'packages/queue/src/fallback/record.ts',
    sound: 'const fields: MoreFields = { attributes, operation, expiresInMs, debounce };',
    broken: 'const fields: MoreFields = { attributes, expiresInMs, debounce };',
    tests: { path: MODEL, name: 'after every step the server has' },
  },
  {
    name: 'the backoff of a job is that of its consumer',
    file: 'packages/queue/src/consumer/attempts.ts',
    sound: 'const ownMs = backoff && backoffDelayMs(backoff, attempt);',
    broken: 'const ownMs = backoff && undefined;',
    tests: { path: MEMORY, name: 'tried so often and so soon' },
  },
  {
    name: 'maxCrashes is not looked at',
    file: 'packages/queue/src/consumer/attempts.ts',
    sound: 'if (maxCrashes !== undefined) return crashes >= maxCrashes;',
    broken: '',
    tests: { path: CRASH_LOOPS, name: 'with maxCrashes of so many' },
  },
  {
    name: 'a consumer looks for cancelled jobs ten times as seldom',
    file: 'packages/queue/src/consumer/held/control-watch.ts',
    sound: 'const LOOK_EVERY_MS = 400;',
    broken: 'const LOOK_EVERY_MS = 4_000;',
    tests: { path: OUTAGES, name: 'within a second' },
  },
];
