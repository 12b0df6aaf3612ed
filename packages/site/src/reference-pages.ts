import type { EntryPoint } from './entry-points.ts';
import { REFERENCE } from './pages.ts';

/** The page of an entry point: `docs/reference/queue/bullmq.md`, known before it is generated. */
export function referencePageOf({ specifier }: EntryPoint): string {
  return `${REFERENCE}/${specifier.replace(/^@holdfast\//, '')}.md`;
}
