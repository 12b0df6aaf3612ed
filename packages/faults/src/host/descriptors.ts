import { integer, parseOptions } from '@holdfast/foundation';
import { run } from './command.ts';
import { requireHostFault } from './host-capabilities.ts';

const shape = {
  pid: integer({ min: 1, max: 4_194_304 }),
  maxOpen: integer({ min: 0, max: 1_000_000_000 }),
};

/**
 * Lowers the soft limit of open files and sockets of a running process; open ones stay. Returns a function that restores
 * the limit.
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
