/** Shows what a run showed, and refuses to show it better than it was: what could not run has failed. */
export { RecordNotWrittenError, ReportNotWrittenError, RunNotReadableError } from './errors.ts';
export { renderPage } from './html.ts';
export { renderJunit } from './junit.ts';
export { renderMarkdown } from './markdown.ts';
export { record } from './record.ts';
export { redact } from './redact.ts';
export type { Moment, RunReport, ScenarioRecord, Stage, TestRecord, Totals } from './report.ts';
export { type Summary, summarise } from './summarise.ts';
export { type TerminalOptions, renderScenarios, renderTotals } from './terminal.ts';
