import { HEADER_BYTES } from './segment-format.ts';

/** Consecutive readable records of a segment. */
export interface Extent {
  first: number;
  /** The sequence after the last one. */
  end: number;
  offset: number;
  endOffset: number;
  /** Search points in ascending order; their distance bounds their number. */
  readonly points: IndexPoint[];
}

interface IndexPoint {
  readonly sequence: number;
  readonly offset: number;
}

/** One file of the journal, as kept in memory. */
export interface Segment {
  readonly name: string;
  readonly path: string;
  readonly first: number;
  readonly salt: number;
  /** The sequence after the last one that belongs here, readable or not. */
  end: number;
  extents: Extent[];
}

export function emptyExtent(first: number): Extent {
  return { first, end: first, offset: HEADER_BYTES, endOffset: HEADER_BYTES, points: [] };
}

/** Adds `records` of `bytes` at the extent's end, and a search point if the last one is `pointEvery` back. */
export function extend(extent: Extent, records: number, bytes: number, pointEvery: number): void {
  const lastPoint = extent.points.at(-1)?.offset ?? extent.offset;
  if (extent.endOffset - lastPoint >= pointEvery) {
    extent.points.push({ sequence: extent.end, offset: extent.endOffset });
  }
  extent.end += records;
  extent.endOffset += bytes;
}

/** The nearest search point at or before the record, within the extent. */
export function indexPointBefore(extent: Extent, sequence: number): IndexPoint {
  const { points } = extent;
  let low = 0;
  let high = points.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((points[middle]?.sequence ?? Infinity) <= sequence) low = middle + 1;
    else high = middle;
  }
  return points[low - 1] ?? { sequence: extent.first, offset: extent.offset };
}

/** Bytes of the segment's records from `sequence` on; may count up to one search distance too much. */
export function bytesFrom(segment: Segment, sequence: number): number {
  let bytes = 0;
  for (const extent of segment.extents) {
    if (extent.end <= sequence) continue;
    const from =
      extent.first >= sequence ? extent.offset : indexPointBefore(extent, sequence).offset;
    bytes += extent.endOffset - from;
  }
  return bytes;
}

/** How many of the segment's records from `sequence` on can be read. */
export function recordsFrom(segment: Segment, sequence: number): number {
  let records = 0;
  for (const extent of segment.extents) {
    records += Math.max(0, extent.end - Math.max(extent.first, sequence));
  }
  return records;
}
