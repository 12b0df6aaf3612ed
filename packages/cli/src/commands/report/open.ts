import { spawn } from 'node:child_process';
import { pathToFileURL } from 'node:url';
import { Command } from 'commander';
import type { CliContext } from '../../context.ts';
import { fileOfReport, newestReport } from './locate.ts';

/** `holdfast report open`. */
export function reportOpenCommand({ stdout, variables }: CliContext): Command {
  return new Command('open')
    .description('Prints the address of a report, and opens it where there is a terminal.')
    .argument('[report]', 'its folder or index.html (default: the newest below reports/)')
    .option('--no-browser', 'only print the address')
    .action((given: string | undefined, { browser }: { browser: boolean }) => {
      const path =
        given === undefined ? newestReport('index.html') : fileOfReport(given, 'index.html');
      stdout.write(`${pathToFileURL(path).href}\n`);
      if (browser && stdout.isTTY === true && !variables['CI']) openFile(path);
    });
}

const openers: Partial<Record<NodeJS.Platform, readonly string[]>> = {
  darwin: ['open'],
  win32: ['cmd', '/c', 'start', ''],
};

/** The address was printed, so a system without a browser needs no error. */
function openFile(path: string): void {
  const [command = 'xdg-open', ...args] = openers[process.platform] ?? [];
  spawn(command, [...args, path], { detached: true, stdio: 'ignore' })
    .on('error', () => undefined)
    .unref();
}
