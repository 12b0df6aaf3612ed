import {
  FencedError,
  type FailoverMember,
  type MemberStatus,
  type ServiceDiscovery,
} from '@holdfast/operations';

interface Entry {
  readonly epoch: number;
  readonly value: number;
}

/** A server of the model: a log, an epoch and a role. */
export class ModelServer {
  readonly id: string;
  role: 'primary' | 'replica' = 'replica';
  epoch = 1;
  /** The epoch of the last fence; writes and promotions of earlier ones are refused. */
  fencedWith = 0;
  log: Entry[] = [];
  /** Every epoch in which it accepted a write. */
  readonly accepted = new Set<number>();

  constructor(id: string) {
    this.id = id;
  }

  get isFenced(): boolean {
    return this.role === 'primary' && this.fencedWith > this.epoch;
  }

  /** Accepts a write of its epoch, and acknowledges it once another server has it. */
  write(value: number, epoch: number, reachable: readonly ModelServer[]): boolean {
    if (this.role !== 'primary' || this.isFenced || this.epoch !== epoch) return false;
    this.accepted.add(epoch);
    this.log = [...this.log, { epoch, value }];
    return reachable.filter((other) => other.follow(this)).length > 0;
  }

  /** Takes the log of a primary whose epoch is not behind. */
  follow(primary: ModelServer): boolean {
    if (this.role !== 'replica' || primary.epoch < this.epoch) return false;
    this.epoch = primary.epoch;
    this.log = primary.log;
    return true;
  }
}

/** Who reaches whom; names are those of the managers, writers and servers, and `discovery`. */
export class ModelNetwork {
  readonly #cut = new Set<string>();

  cut(one: string, other: string): void {
    this.#cut.add(key(one, other));
  }

  heal(): void {
    this.#cut.clear();
  }

  reaches(one: string, other: string): boolean {
    return !this.#cut.has(key(one, other));
  }

  /** A call that never settles where the link is cut; its answer may be lost, too. */
  async call<T>(one: string, other: string, answer: () => T): Promise<T> {
    if (!this.reaches(one, other)) return new Promise(() => {});
    const result = answer();
    await Promise.resolve();
    return this.reaches(one, other) ? result : new Promise(() => {});
  }
}

/** The server as a manager sees it. */
export function memberOf(
  server: ModelServer,
  manager: string,
  network: ModelNetwork,
): FailoverMember {
  const call = <T>(answer: () => T): Promise<T> => network.call(manager, server.id, answer);
  return {
    id: server.id,
    status: () =>
      call((): MemberStatus => {
        const { role, isFenced, log } = server;
        const epoch = isFenced ? server.fencedWith : server.epoch;
        return { role, epoch, isFenced, position: log.length };
      }),
    fence: (epoch) =>
      call(() => {
        if (server.role !== 'primary') throw new FencedError(server.id, epoch);
        server.fencedWith = Math.max(server.fencedWith, epoch);
      }),
    promote: (epoch) =>
      call(() => {
        if (server.epoch >= epoch || server.fencedWith > epoch)
          throw new FencedError(server.id, epoch);
        server.role = 'primary';
        server.epoch = epoch;
      }),
  };
}

/** The discovery as somebody sees it over the network. */
export function discoveryOf(
  discovery: ServiceDiscovery,
  from: string,
  network: ModelNetwork,
): ServiceDiscovery {
  return {
    publish: (service, route, options) =>
      network
        .call(from, 'discovery', () => discovery.publish(service, route, options))
        .then((done) => done),
    read: (service, options) =>
      network
        .call(from, 'discovery', () => discovery.read(service, options))
        .then((route) => route),
  };
}

function key(one: string, other: string): string {
  return [one, other].toSorted().join(' ');
}
