/** One call on a register, as its caller observed it. Every write has a unique value. */
export interface Call {
  readonly kind: 'read' | 'write';
  /** The value written, or returned by the read; `undefined`: never written. */
  readonly value: string | undefined;
  /** Its position among all beginnings and ends. */
  readonly began: number;
  /** `Infinity` for a write whose outcome is unknown: it may take effect at any later time, or never. */
  readonly ended: number;
}

/**
 * Whether the calls could have happened one at a time, each at a moment between its beginning and its end.
 * Algorithm: depth-first search with memory (Wing, Gong 1993; Lowe 2017). For at most 30 calls.
 */
export function isLinearizable(calls: readonly Call[]): boolean {
  if (calls.length > 30) throw new RangeError('too many calls for one history');
  const seen = new Set<string>();
  const all = calls.length;

  const search = (done: number, held: string | undefined): boolean => {
    const open = calls.filter((_, index) => (done & (1 << index)) === 0);
    if (open.every(({ ended }) => ended === Infinity)) return true;
    const memory = `${done}:${held ?? ''}`;
    if (seen.has(memory)) return false;
    seen.add(memory);
    // A call must not be ordered after one that began when it had ended.
    const firstEnd = Math.min(...open.map(({ ended }) => ended));
    for (let index = 0; index < all; index += 1) {
      const call = calls[index];
      if (call === undefined || (done & (1 << index)) !== 0 || call.began > firstEnd) continue;
      if (call.kind === 'read' && call.value !== held) continue;
      if (search(done | (1 << index), call.kind === 'write' ? call.value : held)) return true;
    }
    return false;
  };
  return search(0, undefined);
}
