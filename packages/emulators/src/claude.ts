/** The Messages API of Claude as a server of this process. */
export type {
  ClaudeAnswer,
  ClaudeControls,
  ClaudeMockOptions,
  ClaudeRequestRecord,
} from './claude/claude-api.ts';
export {
  type ClaudeServer,
  type ClaudeServerOptions,
  createClaudeServer,
} from './claude/server.ts';
