import type { PlantedBug } from '../planted-bug.ts';

const REDIS = 'packages/cache/src/redis';
const SHARING = 'packages/suites/test/network-failures/cache-redis-sharing';
const TURNS = 'packages/suites/test/network-failures/cache-redis-turns';
const LINKS = 'packages/suites/test/network-failures/cache-redis-links';
const LATE = 'packages/suites/test/network-failures/cache-redis-late-writes';
const LOST = 'packages/suites/test/network-failures/cache-redis-lost-data';
const QUEUED = 'packages/suites/test/network-failures/cache-redis-queued';
const REFUSALS = 'packages/suites/test/network-failures/cache-redis-refusals';
const OUTAGES = 'packages/suites/test/network-failures/cache-redis-outages';

export const cacheRedisBugs: readonly PlantedBug[] = [
  {
    name: 'an answer that was loaded before its tag was invalidated is stored in Redis after it',
    file: `${REDIS}/protocol/scripts.ts`,
    sound: 'if version and newer(version, started) then isOld = true end',
    broken: '',
    tests: { path: SHARING, name: 'a late answer is refused by Redis itself' },
  },
  {
    name: 'an entry with a flipped bit is answered',
    file: `${REDIS}/protocol/entry-format.ts`,
    sound: 'bytes.readUInt32BE(CRC_AT) === checksum(name, bytes)',
    broken: 'bytes.readUInt32BE(CRC_AT) >= 0',
    tests: { path: SHARING, name: 'an entry that was damaged at any place' },
  },
  {
    name: 'a process loses its turn although it is still loading',
    file: `${REDIS}/source-turns.ts`,
    sound: 'timer = clock.schedule(delayMs, () => void extend(), { holdsProcess: false });',
    broken: 'void delayMs;',
    tests: { path: TURNS, name: 'a holder that dies' },
  },
  {
    name: 'answers from memory stay unmarked while Redis says nothing',
    file: `${REDIS}/stream-follower.ts`,
    sound: 'clock.now() - Math.max(confirmedMs, storedAtMs) <= leaseMs;',
    broken: 'clock.now() - Math.max(confirmedMs, storedAtMs) <= leaseMs * 1_000;',
    tests: { path: LINKS, name: 'behind a link that says nothing' },
  },
  {
    name: 'reads wait with one that Redis does not answer',
    file: `${REDIS}/connection/guarded-link.ts`,
    sound: 'return this.isAvailable && !this.#pace.isLate;',
    broken: 'return this.isAvailable;',
    tests: { path: OUTAGES, name: 'a read that Redis leaves waiting' },
  },
  {
    name: 'a process that missed invalidations does not notice the gap',
    file: `${REDIS}/stream-follower.ts`,
    sound: 'if (messages[0]?.id !== seen) {',
    broken: 'if (messages.length < 0) {',
    tests: { path: LINKS, name: 'missed more than the stream keeps' },
  },
  {
    name: 'what was invalidated while Redis was away is read from it again',
    file: `${REDIS}/redis-tier.ts`,
    sound: 'this.#follower.isSettled && !this.writer.isKeyPending(key)',
    broken: 'this.#follower.isSettled',
    tests: { path: REFUSALS, name: 'a server that only reads' },
  },
  {
    name: 'a Redis without memory leaves the older value with the others',
    file: `${REDIS}/redis-writer.ts`,
    sound: '} else if (isRefusal(reply, OUT_OF_MEMORY)) {',
    broken: '} else if (isRefusal(reply, /^NEVER/)) {',
    tests: { path: REFUSALS, name: 'a Redis without memory refuses a value' },
  },
  {
    name: 'writes that a server has forgotten go unnoticed',
    file: `${REDIS}/stream-follower.ts`,
    sound: 'if (!isTrimmed) {',
    broken: 'if (isTrimmed === undefined) {',
    tests: { path: LOST, name: 'a server that has forgotten' },
  },
  {
    name: 'what a frozen Redis executes late is as young as if it had just been loaded',
    file: `${REDIS}/redis-writer.ts`,
    sound: "this.#follower.serverTime.now() ?? '',",
    broken: "'',",
    tests: { path: LATE, name: 'has its true age' },
  },
  {
    name: 'closing loses the changes that Redis has not taken yet',
    file: `${REDIS}/redis-tier.ts`,
    sound: 'const lost = await this.writer.drain(this.#deps.redis.drainTimeoutMs);',
    broken: 'const lost = await this.writer.drain(0);',
    tests: { path: QUEUED, name: 'what is queued when a cache is closed' },
  },
];
