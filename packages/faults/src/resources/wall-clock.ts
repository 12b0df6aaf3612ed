let aheadMs = 0;
const RealDate = globalThis.Date;
const now = (): number => RealDate.now() + aheadMs;

/** Puts a `Date` in the place of the real one that can be moved; before anything else has taken it. */
export function takeWallClock(): void {
  globalThis.Date = new Proxy(RealDate, {
    construct: (real, args: unknown[], asked): object =>
      Reflect.construct(real, args.length === 0 ? [now()] : args, asked),
    apply: () => new RealDate(now()).toString(),
    get: (real, key): unknown => (key === 'now' ? now : Reflect.get(real, key)),
  });
}

/** Moves what `Date` says, from where it is. */
export function stepWallClock(byMs: number): void {
  aheadMs += byMs;
}
