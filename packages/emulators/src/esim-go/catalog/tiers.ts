/** What a bundle of a group contains, whatever its place. */
export interface BundleTier {
  /** As in the name, such as `1GB` or `UL`. */
  readonly label: string;
  /** Megabytes; -1 where unlimited. */
  readonly dataAmount: number;
  /** Days. */
  readonly duration: number;
  /** The price without the place, in hundredths. */
  readonly cents: number;
}

export interface TierGroup {
  readonly name: string;
  readonly tiers: readonly BundleTier[];
}

const fixed = (gigabytes: number, duration: number): BundleTier => ({
  label: `${gigabytes}GB`,
  dataAmount: gigabytes * 1_000,
  duration,
  cents: 60 + gigabytes * 85 + duration * 4,
});
const unlimited = (label: string, centsPerDay: number): readonly BundleTier[] =>
  [1, 3, 5, 7, 10, 15, 30].map((duration) => ({
    label,
    dataAmount: -1,
    duration,
    cents: 40 + centsPerDay * duration,
  }));

/** The groups of a standard account. No two tiers have both label and duration in common. */
export const tierGroups: readonly TierGroup[] = [
  {
    name: 'Standard Fixed',
    tiers: [fixed(1, 7), fixed(2, 15), fixed(3, 30), fixed(5, 30), fixed(10, 30), fixed(20, 30)],
  },
  {
    name: 'Standard Long Duration',
    tiers: [fixed(5, 90), fixed(10, 90), fixed(20, 180), fixed(50, 365), fixed(100, 365)],
  },
  { name: 'Standard Unlimited Lite', tiers: unlimited('UL', 95) },
  { name: 'Standard Unlimited Essential', tiers: unlimited('ULE', 140) },
  { name: 'Standard Unlimited Plus', tiers: unlimited('ULP', 210) },
];
