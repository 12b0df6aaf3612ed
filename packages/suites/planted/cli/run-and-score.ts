import type { PlantedBug } from '../planted-bug.ts';

const TESTS = 'packages/cli/test';

export const cliRunBugs: readonly PlantedBug[] = [
  {
    name: 'a queue that loses jobs keeps its points',
    file: 'packages/cli/src/score/queue-probes.ts',
    sound: 'accepted > 0 && lost.length === 0,',
    broken: 'accepted > 0,',
    tests: { path: `${TESTS}/score`, name: 'loses points for each kind' },
  },
  {
    name: 'a replay forgets the seed',
    file: 'packages/cli/src/commands/replay.ts',
    sound: 'flags, seed, stage, report',
    broken: 'flags, stage, report',
    tests: { path: `${TESTS}/replay`, name: 'run with its seed and stage' },
  },
];
