let aheadMs = 0;
const RealDate = globalThis.Date;
const now = (): number => RealDate.now() + aheadMs;

/** Replaces `Date` by one that can be moved; to be called before other code holds a reference to it. */
export function installAdjustableDate(): void {
  globalThis.Date = new Proxy(RealDate, {
    construct: (real, args: unknown[], newTarget): object =>
      Reflect.construct(real, args.length === 0 ? [now()] : args, newTarget),
    apply: () => new RealDate(now()).toString(),
    get: (real, key): unknown => (key === 'now' ? now : Reflect.get(real, key)),
  });
}

/** Moves `Date` by a step. */
export function stepWallClock(byMs: number): void {
  aheadMs += byMs;
}
