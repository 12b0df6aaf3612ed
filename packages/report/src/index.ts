/** Reports a test run. Tests that could not run count as failed. */
export { RecordNotWrittenError, ReportNotWrittenError, RunNotReadableError } from './errors.ts';
export { type PageHistory, renderPage } from './render/page/page.ts';
export { type Change, compareRuns, compareWithHistory } from './history/compare.ts';
export { type HistoryEntry, type ScenarioTimes, historyEntryOf } from './history/entry.ts';
export { type FlakyTest, flakyTests } from './history/flaky.ts';
export { type History, appendHistory, readHistory } from './history/history-file.ts';
export { readRun } from './history/read-run.ts';
export { type ScenarioResult } from './outcome.ts';
export { renderHistory } from './render/history-table.ts';
export { renderBadge } from './render/badge.ts';
export { renderCtrf } from './render/ctrf.ts';
export { renderJunit } from './render/junit.ts';
export { renderMarkdown } from './render/markdown.ts';
export { record } from './record.ts';
export { planTestFiles } from './progress/plan.ts';
export { announceServers } from './progress/servers.ts';
export { redact } from './redact.ts';
export type {
  LoadSample,
  Moment,
  RunEnvironment,
  RunReport,
  ScenarioRecord,
  ServerLog,
  StageName,
  TestRecord,
  Totals,
} from './report.ts';
export { type Summary, summarize } from './summarize.ts';
export { type TerminalOptions, renderScenarios, renderTotals } from './render/terminal.ts';
