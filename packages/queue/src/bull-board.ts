/** Shows the topics of queues in the dashboard of bull-board. */
export { type BullBoardOptions, bullBoardAdapter } from './bull-board/adapter.ts';
