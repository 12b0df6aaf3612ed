import type { FileSystem } from '../files/file-system.ts';
import { type Gap, scan } from './scan.ts';
import type { Segment } from './segment.ts';

/**
 * Scans the extent around `sequence` and passes its gaps to `accept`; unless that throws, the segment's
 * extents then exclude them. The segment may grow meanwhile. Does nothing if the damage is known already, or
 * if a second read finds none.
 */
export async function excludeDamage(
  files: FileSystem,
  segment: Segment,
  sequence: number,
  options: { pointEvery: number; accept: (gaps: readonly Gap[]) => void },
): Promise<void> {
  const { pointEvery, accept } = options;
  const extent = segment.extents.find(({ first, end }) => sequence >= first && sequence < end);
  if (extent === undefined) return;
  const { first, end, offset, endOffset } = extent;
  const file = await files.open(segment.path, 'read');
  try {
    const request = { salt: segment.salt, first, end, offset, endOffset, pointEvery };
    const found = await scan(file, request);
    const index = segment.extents.indexOf(extent);
    if (found.gaps.length === 0 || extent.first !== first || index === -1) return;
    accept(found.gaps);
    const intact = [...found.extents];
    const tail = intact.at(-1)?.end === end ? intact.pop() : undefined;
    extent.first = tail?.first ?? end;
    extent.offset = tail?.offset ?? endOffset;
    const kept = extent.points.findIndex((point) => point.offset > extent.offset);
    extent.points.splice(0, kept === -1 ? extent.points.length : kept);
    segment.extents.splice(index, 1, ...intact, extent);
    await quarantine(files, segment.path);
  } finally {
    await file.close();
  }
}

/** Gives a damaged file a second name, which remains when the segment is released. */
export async function quarantine(files: FileSystem, path: string): Promise<void> {
  const kept = `${path}.quarantined`;
  if ((await files.status(kept)) !== undefined) return;
  try {
    await files.link(path, kept);
  } catch {
    await files.copy(path, kept);
  }
}
