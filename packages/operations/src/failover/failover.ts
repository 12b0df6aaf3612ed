import type { Subscribe } from '@holdfast/foundation';

/** Options of a call to a port. */
export interface FailoverCallOptions {
  /** Aborts at the deadline of the call, and when the manager closes. */
  readonly signal: AbortSignal;
}

/** What a member says of itself. */
export interface MemberStatus {
  readonly role: 'primary' | 'replica';
  /** The last epoch that it, or the primary whose data it has, was promoted or fenced with; 0 if never. */
  readonly epoch: number;
  /** Whether it refuses writes although it is primary. */
  readonly isFenced: boolean;
  /** How far its data goes, such as bytes of write-ahead log: to be compared with that of others. */
  readonly position: number;
}

/** A server that may be primary. */
export interface FailoverMember {
  readonly id: string;
  status(options: FailoverCallOptions): Promise<MemberStatus>;
  /** Makes it refuse writes of every epoch before this one, also after its restart. Settles once it does. */
  fence(epoch: number, options: FailoverCallOptions): Promise<void>;
  /** Makes it primary of this epoch. It refuses if it was fenced with a later one. */
  promote(epoch: number, options: FailoverCallOptions): Promise<void>;
}

/** Where writers go. */
export interface FailoverRoute {
  readonly member: string;
  /** Passed with every write, and checked by the resource. */
  readonly epoch: number;
  /** `false` while a failover is under way: nothing may be written, and this epoch is never open again. */
  readonly isOpen: boolean;
}

/** Where the current route is published: a registry, DNS, a key. */
export interface ServiceDiscovery {
  /** Publishes the route, unless one of a later epoch is there: then it rejects. */
  publish(service: string, route: FailoverRoute, options: FailoverCallOptions): Promise<void>;
  read(service: string, options: FailoverCallOptions): Promise<FailoverRoute | undefined>;
}

/** Elects one manager, and counts epochs. */
export interface LeaseStore {
  /** Takes or prolongs the lease. `false` if another holder has it. */
  hold(name: string, holder: string, ttlMs: number, options: FailoverCallOptions): Promise<boolean>;
  /** The next epoch, for the holder only: larger than every one before. `undefined` without the lease. */
  nextEpoch(
    name: string,
    holder: string,
    options: FailoverCallOptions,
  ): Promise<number | undefined>;
  release(name: string, holder: string, options: FailoverCallOptions): Promise<void>;
}

/** Why the manager does what it does. */
export type FailoverReason =
  | 'not-leader'
  | 'primary-well'
  | 'confirming'
  | 'no-primary-known'
  | 'no-candidate'
  | 'waiting-for-route-to-expire'
  | 'failover';

/** Events of a failover manager. */
export interface FailoverEvents {
  /** The manager's view after a round. */
  observed: { readonly reason: FailoverReason };
  'failed-over': { readonly from: string; readonly to: string; readonly epoch: number };
  /** A step failed; the next round decides anew. */
  failed: { readonly step: FailoverStep; readonly error: unknown };
  /** An old primary came back as one, and was fenced. It stays so until a person makes it a replica. */
  fenced: { readonly member: string; readonly epoch: number };
}

/** The steps of a failover, in their order. */
export type FailoverStep = 'lease' | 'epoch' | 'close' | 'fence' | 'promote' | 'route';

/** Keeps one primary. */
export interface FailoverManager {
  readonly on: Subscribe<FailoverEvents>;
  /** The last round's reason, the route, and what every member said. */
  view(): {
    readonly reason: FailoverReason;
    readonly route: FailoverRoute | undefined;
    readonly members: ReadonlyMap<string, MemberStatus | undefined>;
  };
  /** Ends the rounds, and gives the lease up. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}
