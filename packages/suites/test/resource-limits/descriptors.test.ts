/**
 * It measures time, or what the whole process holds.
 *
 * @alone
 */
import { Agent } from 'node:http';
import { expect } from '@jest/globals';
import type {
  DescriptorsOptions,
  DescriptorsReport,
  WaitReport,
} from '../../src/limits/descriptors-main.ts';
import { childEnd, firstNumbers, reportOf, startChild } from '../../src/limits/child.ts';
import { type Seen, callOnce, callUntilServed } from '../../src/limits/clients.ts';
import { scenario } from '../../src/limits/scenario.ts';

const MAIN = 'descriptors-main.ts';
const CLIENTS = 40 * Number(process.env['HOLDFAST_RUNS'] ?? 3);
const obstacle = process.platform === 'win32' ? 'Windows has no ulimit' : undefined;

async function serveCrowd(guarded: boolean): Promise<{ seen: Seen[]; report: DescriptorsReport }> {
  const options: DescriptorsOptions = { guarded, run: 'serve' };
  const child = startChild({ main: MAIN, options, first: 'ulimit -n 64' });
  const [port = 0] = await firstNumbers(child);
  const agent = new Agent({ keepAlive: false });
  const calls = guarded
    ? (): Promise<Seen> => callUntilServed(port, agent)
    : async (): Promise<Seen> => ({ status: await callOnce(port, agent), tries: 1 });
  const seen = await Promise.all(Array.from({ length: CLIENTS }, calls));
  const end = childEnd<DescriptorsReport>(child);
  child.stdin?.end();
  return { seen, report: reportOf(await end) };
}

scenario(
  {
    promise:
      'handles file descriptor exhaustion: a service with 64 descriptors serves a crowd, without a crash and without a lie',
    fault: `ulimit -n 64, ${CLIENTS} clients at once, a file and an upstream by name for each`,
    obstacle,
  },
  async () => {
    const { seen, report } = await serveCrowd(true);
    // Nothing was said to be missing that was only out of reach: no ENOTFOUND, no EMFILE.
    expect(report.codes).toEqual([]);
    expect(seen.filter(({ status }) => status !== 200)).toEqual([]);
    expect(report.served).toBe(CLIENTS);
    const bare = await serveCrowd(false);
    const lost = bare.seen.filter(({ status }) => status !== 200).length;
    return {
      accepted: CLIENTS,
      delivered: report.served,
      lost: 0,
      note: `${report.refused} connections refused in words, ${report.pauses} pauses; without the guard ${lost} of ${CLIENTS} calls failed: ${[...new Set(bare.report.codes)].join(', ')}`,
    };
  },
);

scenario(
  {
    promise:
      'files and sockets wait in order for descriptors that others hold, and a call at its deadline says so',
    fault: 'ulimit -n 64, all taken by another part of the process, given back one by one',
    obstacle,
  },
  async () => {
    const options: DescriptorsOptions = { guarded: true, run: 'wait' };
    const child = startChild({ main: MAIN, options, first: 'ulimit -n 64' });
    const report = reportOf(await childEnd<WaitReport>(child));
    expect(report).toMatchObject({
      inTime: { code: 'NETWORK_DESCRIPTORS_EXHAUSTED', cause: 'EMFILE' },
      opened: 12,
      leftOpen: 0,
    });
    expect(report.exhausted).toBeGreaterThan(0);
    // One call is opened at a time while there is a shortage; afterwards several may overlap.
    expect(report.order.slice(0, 2)).toEqual([0, 1]);
    expect(report.order.toSorted((a, b) => a - b)).toEqual(
      Array.from({ length: 12 }, (_, at) => at),
    );
    return { accepted: 12, delivered: report.opened, lost: 0 };
  },
);
