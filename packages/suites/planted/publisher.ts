import type { PlantedBug } from './planted-bug.ts';

const SRC = 'packages/publisher/src';
const TESTS = 'packages/publisher/test';

export const publisherBugs: readonly PlantedBug[] = [
  {
    name: 'a page that ends in the middle counts as built',
    file: `${SRC}/build/verify-build.ts`,
    sound: 'if (torn.length > 0)',
    broken: 'if (torn.length > 1_000)',
    tests: { path: `${TESTS}/build/run-build`, name: 'half a page' },
  },
  {
    name: 'a build that fails with pages written is published',
    file: `${SRC}/build/run-build.ts`,
    sound: `return code === 0 ? undefined : { kind: 'exit', code, lastLines };`,
    broken: 'return undefined;',
    tests: { path: `${TESTS}/build/run-build`, name: 'a build that fails is refused' },
  },
  {
    name: 'what a build started outlives it',
    file: `${SRC}/process/run-process.ts`,
    sound: `signalGroup(pid, 'SIGKILL');`,
    broken: '',
    tests: { path: `${TESTS}/build/run-build`, name: 'leaves running' },
  },
  {
    name: 'an older build that ends last is published',
    file: `${SRC}/publish/move-pointer.ts`,
    sound: `if (pointer.order > order) return 'superseded';`,
    broken: `if (pointer.order > order) return 'move';`,
    tests: { path: `${TESTS}/publish/publisher`, name: 'finishes last' },
  },
  {
    name: 'a worker that was replaced moves the pointer',
    file: `${SRC}/publish/move-pointer.ts`,
    sound: `if (pointer.run === run && BigInt(pointer.fence) > fence) return 'stale-fence';`,
    broken: '',
    tests: { path: `${TESTS}/publish/publisher`, name: 'was taken over' },
  },
  {
    name: 'a release with a file that could not be sent is published',
    file: `${SRC}/publish/publisher.ts`,
    sound: `if (uploaded.failure !== undefined) return { kind: 'failed', error: uploaded.failure, keys };`,
    broken: '',
    tests: { path: `${TESTS}/publish/publisher`, name: 'permission that is lost' },
  },
  {
    name: 'an open page gets the files of the next release',
    file: `${SRC}/publish/front-door.ts`,
    sound:
      'if (former !== undefined && file !== undefined) return this.#send(request, former, file);',
    broken: '',
    tests: { path: `${TESTS}/publish/front-door`, name: 'of its own release' },
  },
  {
    name: 'pages of a bare website come before the files that they need',
    file: `${SRC}/publish/website-publisher.ts`,
    sound: 'files.filter((file) => !isPage(file)),',
    broken: 'files.filter((file) => isStart(file)),',
    tests: { path: `${TESTS}/publish/website`, name: 'files come before' },
  },
  {
    name: 'an edit that another worker pushed is pushed again',
    file: `${SRC}/git/push-branch.ts`,
    sound: 'if (earlier !== undefined) {',
    broken: `if (earlier === '') {`,
    tests: { path: `${TESTS}/git/push`, name: 'a second time' },
  },
  {
    name: 'a remote that is silent counts as unreachable by its address',
    file: `${SRC}/git/probe-remote.ts`,
    sound: `if (error === late) return { kind: 'timeout' };`,
    broken: '',
    tests: { path: `${TESTS}/git/probe`, name: 'is a timeout' },
  },
  {
    name: 'an answer that was cut by its length is an edit',
    file: `${SRC}/session/site-edit.ts`,
    sound: `if (stopReason !== 'end_turn') {`,
    broken: `if (stopReason === '') {`,
    tests: { path: `${TESTS}/session/site-edit`, name: 'cut by its length' },
  },
];
