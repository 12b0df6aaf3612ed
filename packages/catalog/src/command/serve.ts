import { onAbort } from '@holdfast/foundation';
import { EXIT } from './exit-codes.ts';
import type { CommandContext } from './context.ts';
import { describe } from './describe.ts';

/** `catalog serve`: until SIGTERM or SIGINT, which end it with 0 once running requests are answered. */
export async function serve(context: CommandContext): Promise<number> {
  const { invocation, tiers, stdout, stderr, signal } = context;
  const createService = await tiers.loadService();
  const catalog = tiers.openCatalog(true);
  let warned = '';
  // A sync that fails is repeated within seconds: the same failure is written once.
  const warn = (error: unknown): void => {
    const line = describe(error);
    if (line !== warned) stderr.write(`${line}\n`);
    warned = line;
  };
  catalog.on('sync-ended', () => {
    warned = '';
  });
  catalog.on('alert', ({ error, message }) => warn(error ?? message));
  catalog.on('sync-failed', ({ error }) => warn(error));
  catalog.on('served', ({ generation, source }) => {
    stderr.write(`catalog: serves generation ${generation} from ${source}\n`);
  });
  const service = createService({ catalog });
  try {
    const { host, port } = invocation;
    stdout.write(`catalog: listens at ${await service.listen({ host, port })}\n`);
    if (tiers.sync === undefined) {
      stderr.write('catalog: ESIM_GO_API_KEY is not set; it serves what others sync\n');
    }
    // Requests wait for the first generation by themselves; this one is for the health.
    catalog.refresh({ signal }).catch((error: unknown) => {
      if (!signal.aborted) warn(error);
    });
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      else onAbort(signal, () => resolve());
    });
    stderr.write('catalog: closing\n');
    return EXIT.done;
  } finally {
    await service.close();
    await catalog.close();
  }
}
