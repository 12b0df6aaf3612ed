import type { ServerHandle } from './handle.ts';

/** The network between the servers of a stage and their clients. */
export interface StageNetwork {
  /**
   * Partitions the server from its clients: data in either direction is held back and new connections are not
   * answered, until it is healed. In force when it resolves.
   * @throws StageLinkError when the server has no link.
   */
  cut(server: ServerHandle): Promise<void>;
  /** Reconnects the server, or all that were cut; held data is delivered. */
  heal(server?: ServerHandle): Promise<void>;
}

export function stageNetwork(): StageNetwork {
  const severed = new Set<ServerHandle>();
  return {
    async cut(server) {
      server.link.faults.set('blackhole');
      severed.add(server);
    },
    async heal(server) {
      const healed = server === undefined ? [...severed] : [server];
      for (const each of healed) severed.delete(each);
      await Promise.all(healed.map((each) => each.link.faults.clear('blackhole')));
    },
  };
}
