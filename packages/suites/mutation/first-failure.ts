/** Ends a run of Jest in one process with its first test that fails: one is enough to notice a mutant. */
export default class FirstFailure {
  onTestCaseResult(_: unknown, { status }: { status: string }): void {
    if (status === 'failed') process.exit(1);
  }
}
