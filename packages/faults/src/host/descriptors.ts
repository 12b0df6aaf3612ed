import { integer, parseOptions } from '@holdfast/foundation';
import { afterOwnEnd } from './after-own-end.ts';
import { run } from './command.ts';
import { requireHostFault } from './host-capabilities.ts';

const shape = {
  pid: integer({ min: 1, max: 4_194_304 }),
  maxOpen: integer({ min: 0, max: 1_000_000_000 }),
};

/**
 * Lowers the soft limit of open files and sockets of a running process; open ones stay. Returns a function that restores
 * the limit, which happens also when this process ends in any way.
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
  const setting = (limit: string): readonly string[] => [...of, `--nofile=${limit}:`];
  const restored = setting(before.trim());
  const release = afterOwnEnd(restored);
  try {
    await run(setting(String(maxOpen)));
  } catch (error) {
    release();
    throw error;
  }
  return async () => {
    await run(restored);
    release();
  };
}
