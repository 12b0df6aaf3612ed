import type { PlantedBug } from '../planted-bug.ts';

const FETCH = 'packages/network/src/fetch';
const SUITE = 'packages/suites/test/network-failures/fetch';

export const networkFetchBugs: readonly PlantedBug[] = [
  {
    name: 'a POST is sent again after it was written',
    file: `${FETCH}/calls/call.ts`,
    sound: "(written === 'none' || isUntouched || isIdempotent)",
    broken: "(written === 'none' || isUntouched || isIdempotent || true)",
    tests: { path: `${SUITE}/calls`, name: 'a POST that was written is not' },
  },
  {
    name: 'connections to an address that is gone are kept',
    file: `${FETCH}/connections/connection-pool.ts`,
    sound: 'this.#gone.has(connection.address)',
    broken: 'this.#gone.size < 0',
    tests: { path: `${SUITE}/pools`, name: 'when a name moves' },
  },
  {
    name: 'bytes after the end of an encoded body go unnoticed',
    file: `${FETCH}/body/inflate.ts`,
    sound: 'else if (this.#decoder?.bytesWritten === this.#bytesIn)',
    broken: 'else if (this.#decoder !== undefined)',
    tests: { path: `${SUITE}/bodies`, name: 'bytes after the end, under a whole length' },
  },
  {
    name: 'a body is inflated without a bound',
    file: `${FETCH}/body/inflate.ts`,
    sound: 'if (this.#bytesOut > this.#maxBytes) {',
    broken: 'if (this.#bytesOut < 0) {',
    tests: { path: `${SUITE}/bodies`, name: 'is stopped there' },
  },
  {
    name: 'a silent session takes further calls',
    file: `${FETCH}/connections/http2-connection.ts`,
    sound: 'if (isSilent) this.#connection.endSilent();',
    broken: '',
    tests: { path: `${SUITE}/http2`, name: 'the first deadline that passes in silence' },
  },
  {
    name: 'only the well-known secrets stay with their origin',
    file: `${FETCH}/calls/redirects.ts`,
    sound: 'if (isSameOrigin || HARMLESS.has(name))',
    broken: "if (isSameOrigin || (name !== 'authorization' && name !== 'cookie'))",
    tests: { path: `${SUITE}/redirects`, name: 'no header that may be one leaves it' },
  },
  {
    name: 'a pause that is longer than the deadline is waited for',
    file: `${FETCH}/calls/call.ts`,
    sound: 'askedMs !== undefined && askedMs >= remainingMs',
    broken: 'askedMs !== undefined && askedMs < 0',
    tests: { path: `${SUITE}/calls`, name: 'is over the deadline' },
  },
  {
    name: 'a shortage of descriptors is taken for a package that is not installed',
    file: `${FETCH}/connections/undici-client.ts`,
    sound: 'if (shortage !== undefined) throw shortage;',
    broken: 'if (shortage !== undefined) return undefined;',
    tests: { path: `${SUITE}/limits`, name: 'a first call without descriptors' },
  },
];
