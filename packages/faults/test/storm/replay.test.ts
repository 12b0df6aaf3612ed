import { expect, test } from '@jest/globals';
import {
  type FleetStorm,
  type Storm,
  fleetStorm,
  losslessFaults,
  storm,
  withstand,
} from '@holdfast/faults';

/** What a person does with the line of the error. */
function evaluated(line: string): unknown {
  // oxlint-disable-next-line typescript/no-implied-eval, no-new-func -- the line is to be run as it is printed
  return new Function('storm', 'fleetStorm', `return (${line})`)(storm, fleetStorm);
}

async function printedReplay(weather: Storm | FleetStorm): Promise<string> {
  const failure = withstand<Storm['faults'][number] | FleetStorm['faults'][number]>(
    weather,
    async () => {
      throw new Error('always');
    },
    { maxRuns: 3 },
  );
  const message = await failure.then(
    () => '',
    (error: Error) => error.message,
  );
  return /Replay it with (.*)$/.exec(message)?.[1] ?? '';
}

test('the printed line gives the same storm when it is run, whatever the options', async () => {
  for (let seed = 1; seed <= 50; seed += 1) {
    const storms: (Storm | FleetStorm)[] = [
      storm(seed),
      storm(-seed, { durationMs: 60 * seed, maxFaults: seed }),
      storm(seed, { kinds: losslessFaults, maxFaults: 40 }),
      fleetStorm(seed, { servers: ['redis', 'it\'s "quoted"'] }),
      fleetStorm(seed, { servers: ['a'], maxFaultMs: 100, serverFaults: ['kill'], maxFaults: 30 }),
    ];
    for (const weather of storms) {
      expect(evaluated(await printedReplay(weather))).toEqual(weather);
    }
  }
});

test('a storm that was stored, or written by hand, is printed as it is', async () => {
  const stored: Storm = JSON.parse(JSON.stringify(storm(42, { durationMs: 60 })));
  const written: Storm = {
    seed: 0,
    durationMs: 100,
    faults: [{ atMs: 0, forMs: 10, fault: { kind: 'reset', options: {} } }],
  };
  for (const weather of [stored, written, { ...storm(1), durationMs: 5 }]) {
    expect(evaluated(await printedReplay(weather))).toEqual(weather);
  }
});
