import type { PlantedBug } from '../planted-bug.ts';

export const cliBugs: readonly PlantedBug[] = [
  {
    name: 'the demo does not count what is lost',
    file: 'packages/cli/src/demo/ledger.ts',
    sound: 'filter((number) => !found.has(number)),',
    broken: 'filter((number) => found.get(number) === 0),',
    tests: { path: 'packages/cli/test/ledger', name: 'not found is lost' },
  },
  {
    name: 'stage down ends whatever process has the pid of the keeper',
    file: 'packages/cli/src/stage/stage-state.ts',
    sound: 'return processStartTime(stage.pid) === stage.processStartTime;',
    broken: 'return processStartTime(stage.pid) !== undefined;',
    tests: { path: 'packages/cli/test/stage', name: 'got the pid of a keeper is not ended' },
  },
  {
    name: 'an interrupted stage up leaves its servers',
    file: 'packages/cli/src/stage/begin-keeper.ts',
    sound: "onAbort(signal, () => child.kill('SIGTERM'))",
    broken: "onAbort(signal, () => child.disconnect === undefined && child.kill('SIGTERM'))",
    tests: { path: 'packages/cli/test/stage', name: 'SIGTERM while servers start' },
  },
];
