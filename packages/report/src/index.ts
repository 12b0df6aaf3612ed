/** Reports a test run. Tests that could not run count as failed. */
export { RecordNotWrittenError, ReportNotWrittenError, RunNotReadableError } from './errors.ts';
export { renderPage } from './render/html.ts';
export { renderJunit } from './render/junit.ts';
export { renderMarkdown } from './render/markdown.ts';
export { record } from './record.ts';
export { redact } from './redact.ts';
export type { Moment, RunReport, ScenarioRecord, StageName, TestRecord, Totals } from './report.ts';
export { type Summary, summarize } from './summarize.ts';
export { type TerminalOptions, renderScenarios, renderTotals } from './render/terminal.ts';
