import type { ServerHandle } from '../stage.ts';

/** The wires between the servers of a stage and whoever speaks to them. */
export interface StageNetwork {
  /**
   * Parts the server from everyone who speaks to it: what is sent either way stays under way, and new
   * connections stay silent, until it is healed. In force when it resolves.
   * @throws StageLinkError where no link stands in front of the server.
   */
  cut(server: ServerHandle): Promise<void>;
  /** Joins the server again, else all that were cut; what was under way arrives. */
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
      const joined = server === undefined ? [...severed] : [server];
      for (const each of joined) severed.delete(each);
      await Promise.all(joined.map((each) => each.link.faults.clear('blackhole')));
    },
  };
}
