import { integer, parseOptions } from '@holdfast/foundation';
import { run } from './command.ts';
import { requireHostFault } from './plan.ts';

const shape = {
  pid: integer({ min: 1, max: 4_194_304 }),
  maxOpen: integer({ min: 0, max: 1_000_000_000 }),
};

/**
 * Lowers the number of files and sockets that a process of ours that runs may have open, its soft limit
 * alone; what it has open stays. What it returns puts the limit back as it was.
 * @throws InvalidOptionError, HostFaultUnavailableError, HostCommandError
 */
export async function limitDescriptors(options: {
  pid: number;
  maxOpen: number;
}): Promise<() => Promise<void>> {
  const { pid, maxOpen } = parseOptions('limitDescriptors', shape, options);
  await requireHostFault('descriptors');
  const of = ['prlimit', '--pid', String(pid)];
  const before = await run([...of, '--nofile', '--output', 'SOFT', '--noheadings', '--raw']);
  const set = async (limit: string): Promise<void> =>
    void (await run([...of, `--nofile=${limit}:`]));
  await set(String(maxOpen));
  return () => set(before.trim());
}
