import type { FileSystem } from '../files/file-system.ts';
import { type Gap, scan } from './scan.ts';
import type { Segment } from './segment.ts';

/**
 * Finds what is damaged in the extent around `sequence`, and gives it to `accept`; unless that throws, the
 * damage is taken out of the segment, which may grow meanwhile. Nothing happens if the damage is known
 * already, or gone at a second look.
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
    const place = segment.extents.indexOf(extent);
    if (found.gaps.length === 0 || extent.first !== first || place === -1) return;
    accept(found.gaps);
    const whole = [...found.extents];
    const tail = whole.at(-1)?.end === end ? whole.pop() : undefined;
    extent.first = tail?.first ?? end;
    extent.offset = tail?.offset ?? endOffset;
    const kept = extent.points.findIndex((point) => point.offset > extent.offset);
    extent.points.splice(0, kept === -1 ? extent.points.length : kept);
    segment.extents.splice(place, 1, ...whole, extent);
    await quarantine(files, segment.path);
  } finally {
    await file.close();
  }
}

/** A second name for a damaged file, which outlives its release. */
export async function quarantine(files: FileSystem, path: string): Promise<void> {
  const kept = `${path}.quarantined`;
  if ((await files.status(kept)) !== undefined) return;
  try {
    await files.link(path, kept);
  } catch {
    await files.copy(path, kept);
  }
}
