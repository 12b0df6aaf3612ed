import { callback, parseOptions, string } from '@holdfast/foundation';
import { ScalingConflictError } from './errors.ts';
import type { ScalingTarget } from './scaling.ts';

/** Runs a command and returns its standard output; rejects when it exits with another code than 0. */
export type RunCommand = (
  command: string,
  args: readonly string[],
  options: { readonly signal: AbortSignal },
) => Promise<string>;

/** Options of `composeTarget`. */
export interface ComposeTargetOptions {
  /** The service of the compose file. */
  service: string;
  /** The compose file. */
  file: string;
  /** Runs `docker`. */
  run: RunCommand;
}

const schema = {
  service: string({ maxLength: 200 }),
  file: string({ maxLength: 4_096 }),
  run: callback<RunCommand>(),
};

/** A service of Docker compose, scaled by `docker compose up --scale`. @throws InvalidOptionError */
export function composeTarget(options: ComposeTargetOptions): ScalingTarget {
  const { service, file, run } = parseOptions('composeTarget', schema, options);
  const compose = ['compose', '--file', file];
  const read: ScalingTarget['read'] = async ({ signal }) => {
    const args = [...compose, 'ps', '--quiet', '--status', 'running', '--status', 'restarting'];
    const ids = await run('docker', [...args, '--', service], { signal });
    return ids.split('\n').filter((line) => line.trim() !== '').length;
  };
  return {
    read,
    async write(replicas, from, { signal }) {
      if ((await read({ signal })) !== from) throw new ScalingConflictError(service, from);
      const scale = ['--scale', `${service}=${replicas}`];
      // Neither the other services nor the running replicas are touched.
      const args = ['up', '--detach', '--no-deps', '--no-recreate', ...scale, '--', service];
      await run('docker', [...compose, ...args], { signal });
    },
  };
}
