import type { PlantedBug } from '../planted-bug.ts';

const UNIT = 'packages/network/test/dialing';
const SUITE = 'packages/suites/test/network-failures/dialing';

export const networkDialingBugs: readonly PlantedBug[] = [
  {
    name: 'an address without an answer is tried first again',
    file: 'packages/network/src/dialing/race.ts',
    sound: 'if (nowMs - startedMs >= patienceMs) options.failed(address);',
    broken: '',
    tests: { path: `${SUITE}/connects`, name: 'a black hole among the addresses' },
  },
  {
    name: 'a private address inside another one is permitted',
    file: 'packages/network/src/dialing/address-policy.ts',
    sound: 'const inner = embeddedIpv4(address);',
    broken: 'const inner = undefined;',
    tests: { path: `${UNIT}/addresses`, name: '64:ff9b::7f00:1' },
  },
  {
    name: 'a shortage of descriptors is blamed on the server',
    file: 'packages/network/src/dialing/dial.ts',
    sound: "return classifyFailure(error) === 'resources';",
    broken: 'return false;',
    tests: { path: `${SUITE}/limits`, name: 'without descriptors' },
  },
  {
    name: 'a common name is enough',
    file: 'packages/network/src/tls/tls-connector.ts',
    sound: "certificate.subjectaltname ?? ''",
    broken: "certificate.subjectaltname ?? 'DNS:'",
    tests: { path: `${SUITE}/certificates.test`, name: 'noSubjectAltName' },
  },
  {
    name: 'a session outlives its certificate',
    file: 'packages/network/src/tls/tls-connector.ts',
    sound: 'this.#sessions.deleteOf(fingerprint);',
    broken: '',
    tests: { path: `${SUITE}/certificates.test`, name: 'an expired certificate passes neither' },
  },
  {
    name: 'a stale list hides that a certificate is revoked',
    file: 'packages/network/src/tls/revocation.ts',
    sound: "refused.find(({ refusal }) => refusal === 'revoked') ?? refused[0]",
    broken: 'refused.at(-1)',
    tests: { path: `${SUITE}/certificates-clients`, name: 'a revoked certificate is seen' },
  },
];
