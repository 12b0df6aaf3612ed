/** How the command ends. A signal ends it with 128 and its number, as shells have it. */
export const EXIT = {
  done: 0,
  /** What was to be shown did not hold: something was lost or doubled, or a scenario failed. */
  failed: 1,
  /** Wrong words on the command line; nothing was started. */
  usage: 2,
  /** A server is missing or cannot be started here, or no stage is up. */
  unavailable: 3,
  /** An error that the command does not know. */
  unexpected: 4,
} as const;

/** The end of every `--help`; at most 79 columns wide. */
export const EXIT_CODES_HELP = `
Exit codes:
  0  done
  1  something was lost or doubled, a scenario failed, or nothing was changed
  2  wrong words on the command line; nothing was started
  3  a server is missing or cannot be started here, or no stage is up
  4  an unexpected error
  130, 143  interrupted by SIGINT or SIGTERM; nothing is left running`;
