import type { Position, Ring } from '../atlas.ts';

const TURN = 360;
const HALF_TURN = 180;

/**
 * The ring without its jumps at the antimeridian: longitudes may go beyond 180 degrees. Two positions are taken to be
 * joined the short way round. `undefined` for a ring around a pole, which does not close on a plane.
 */
export function unwrapRing(ring: Ring): [number, number][] | undefined {
  const unwrapped: [number, number][] = [];
  let turns = 0;
  let last: number | undefined;
  for (const [longitude = 0, latitude = 0] of ring) {
    if (last !== undefined && longitude - last > HALF_TURN) turns -= TURN;
    else if (last !== undefined && last - longitude > HALF_TURN) turns += TURN;
    last = longitude;
    unwrapped.push([longitude + turns, latitude]);
  }
  return turns === 0 ? unwrapped : undefined;
}

/** Twice the area that a ring encloses; positive when it runs counterclockwise. */
export function signedArea(ring: Ring): number {
  let sum = 0;
  for (let at = 0; at + 1 < ring.length; at += 1) {
    const [x = 0, y = 0] = ring[at] ?? [];
    const [nextX = 0, nextY = 0] = ring[at + 1] ?? [];
    sum += x * nextY - nextX * y;
  }
  return sum;
}

export function samePosition(left: Position | undefined, right: Position | undefined): boolean {
  return left?.[0] === right?.[0] && left?.[1] === right?.[1];
}
