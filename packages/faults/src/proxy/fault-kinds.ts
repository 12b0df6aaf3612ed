import type { Fault } from './fault.ts';
import { type BandwidthOptions, bandwidth } from './kinds/bandwidth.ts';
import { type BlackholeOptions, blackhole } from './kinds/blackhole.ts';
import { type CorruptOptions, corrupt } from './kinds/corrupt.ts';
import { type DownOptions, down } from './kinds/down.ts';
import { type HalfOpenOptions, halfOpen } from './kinds/half-open.ts';
import { type LatencyOptions, latency } from './kinds/latency.ts';
import { type LimitDataOptions, limitData } from './kinds/limit-data.ts';
import { type ResetOptions, reset } from './kinds/reset.ts';
import { type SilenceOptions, silence } from './kinds/silence.ts';
import { type SliceOptions, slice } from './kinds/slice.ts';
import { type SlowCloseOptions, slowClose } from './kinds/slow-close.ts';
import { type TimeoutFaultOptions, timeout } from './kinds/timeout.ts';

/** The options of each fault of a proxy, by its kind. */
export interface ProxyFaults {
  corrupt: CorruptOptions;
  limitData: LimitDataOptions;
  slice: SliceOptions;
  latency: LatencyOptions;
  bandwidth: BandwidthOptions;
  slowClose: SlowCloseOptions;
  blackhole: BlackholeOptions;
  timeout: TimeoutFaultOptions;
  silence: SilenceOptions;
  halfOpen: HalfOpenOptions;
  reset: ResetOptions;
  down: DownOptions;
}

/** The name of a fault of a TCP connection. */
export type ProxyFaultKind = keyof ProxyFaults;

/** A fault as data: its kind and its options. */
export type ProxyFaultSpec = {
  readonly [Kind in ProxyFaultKind]: { readonly kind: Kind; readonly options: ProxyFaults[Kind] };
}[ProxyFaultKind];

/** Resolves a fault's options. Bytes meet the faults in this order, whatever order they were set in. */
export const faultKinds: Readonly<Record<ProxyFaultKind, (options: unknown) => Fault>> = {
  corrupt,
  limitData,
  slice,
  latency,
  bandwidth,
  slowClose,
  blackhole,
  timeout,
  silence,
  halfOpen,
  reset,
  down,
};

/** Every fault of a proxy, in the order in which bytes meet them. */
export const faultKindNames: readonly ProxyFaultKind[] = [
  'corrupt',
  'limitData',
  'slice',
  'latency',
  'bandwidth',
  'slowClose',
  'blackhole',
  'timeout',
  'silence',
  'halfOpen',
  'reset',
  'down',
];
