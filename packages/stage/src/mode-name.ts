/** How the servers run: as containers, as processes of this machine, or as containers started by compose. */
export type StageMode = 'docker' | 'local' | 'compose';

export const STAGE_MODES: readonly StageMode[] = ['docker', 'local', 'compose'];
