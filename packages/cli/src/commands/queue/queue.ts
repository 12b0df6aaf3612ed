import { Command, InvalidArgumentError, Option } from 'commander';
import { PurgeInterruptedError, type Queue } from '@holdfast/queue';
import type { CliContext } from '../../context.ts';
import { EXIT } from '../../exit-codes.ts';
import { describeInspection, inspectTopic } from './inspection.ts';
import { type QueueAddress, withQueue } from './open-queue.ts';

interface QueueCommandOptions extends QueueAddress {
  readonly topic: string;
  readonly json?: true;
}

/** What a command has done, for people and for `--json`. */
interface Done {
  readonly text: string;
  readonly json: object;
  /** False ends the command with 1. Default true. */
  readonly isDone?: boolean;
}

const REDIS_URL = 'redis://127.0.0.1:6379';
const MAX_LISTED = 1_000;
const MAX_REDRIVEN = 10_000;

const HELP = `
Ends with 1 when nothing was changed that was to be changed (no such topic, no
dead letter of that id), with 3 when Redis cannot be used.`;

/** `holdfast queue`. */
export function queueCommand(context: CliContext): Command {
  const command = new Command('queue').description(
    'Looks into a topic of a queue on Redis, redrives its dead letters, pauses, resumes and purges it.',
  );
  const inspect = subcommand('inspect', 'counts and shows the jobs of a topic, and takes none')
    .option('--limit <jobs>', 'the most jobs of each state that are shown', jobsUpTo(MAX_LISTED), 5)
    .action((options: QueueCommandOptions & { readonly limit: number }) =>
      perform(context, options, async (queue) => {
        const seen = await inspectTopic(queue, options.topic, options.limit);
        return { text: describeInspection(seen), json: seen };
      }),
    );
  const redrive = subcommand('redrive', 'makes dead letters jobs again, the oldest first')
    .option('--id <ids...>', 'only these')
    .option('--limit <jobs>', 'the most of them', jobsUpTo(MAX_REDRIVEN), 1_000)
    .action((options: QueueCommandOptions & { readonly limit: number; readonly id?: string[] }) =>
      perform(context, options, (queue) => redriveDeadLetters(queue, options)),
    );
  const pause = subcommand('pause', 'pauses a topic for all consumers, until resume').action(
    (options: QueueCommandOptions) =>
      perform(context, options, async (queue) => {
        const { outcome } = await queue.pause(options.topic);
        const isDone = outcome !== 'unknown-topic';
        return { text: `${options.topic}: ${outcome}`, json: { outcome }, isDone };
      }),
  );
  const resume = subcommand('resume', 'ends the pause of a topic').action(
    (options: QueueCommandOptions) =>
      perform(context, options, async (queue) => {
        const { outcome } = await queue.resume(options.topic);
        return { text: `${options.topic}: ${outcome}`, json: { outcome } };
      }),
  );
  const purge = subcommand(
    'purge',
    'removes the jobs that wait; not those that run, nor dead letters',
  )
    .option('--keep-delayed', 'keeps the delayed ones')
    .action((options: QueueCommandOptions & { readonly keepDelayed?: true }) =>
      perform(context, options, (queue) => purgeTopic(queue, options)),
    );
  for (const each of [inspect, redrive, pause, resume, purge]) command.addCommand(each);
  return command;
}

function subcommand(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .requiredOption('--topic <name>', 'the topic')
    .addOption(new Option('--redis <url>', 'the address of Redis').default(REDIS_URL))
    .option('--prefix <prefix>', "the prefix of the queue's keys", 'holdfast')
    .option('--json', 'prints JSON')
    .addHelpText('after', HELP);
}

async function redriveDeadLetters(
  queue: Queue,
  { topic, limit, id: ids }: { topic: string; limit: number; id?: string[] },
): Promise<Done> {
  const given = { limit, ...(ids !== undefined && { ids }) };
  const redriven = await queue.deadLetters(topic).redrive(given);
  const isDone = ids === undefined || redriven > 0;
  return { text: `${topic}: ${redriven} redriven`, json: { redriven }, isDone };
}

async function purgeTopic(
  queue: Queue,
  { topic, keepDelayed }: { topic: string; keepDelayed?: true },
): Promise<Done> {
  try {
    const removed = keepDelayed === true ? await queue.drain(topic) : await queue.purge(topic);
    return { text: `${topic}: ${removed} removed`, json: { removed } };
  } catch (error) {
    if (!(error instanceof PurgeInterruptedError)) throw error;
    const { removed, message } = error;
    return { text: message, json: { removed, error: message }, isDone: false };
  }
}

async function perform(
  context: CliContext,
  options: QueueCommandOptions,
  work: (queue: Queue) => Promise<Done>,
): Promise<void> {
  const { text, json, isDone = true } = await withQueue(options, context.signal, work);
  const shown = options.json === true ? JSON.stringify({ topic: options.topic, ...json }) : text;
  context.stdout.write(`${shown}\n`);
  if (!isDone) context.exitWith(EXIT.failed);
}

function jobsUpTo(most: number): (text: string) => number {
  return (text) => {
    const jobs = Number(text);
    if (Number.isInteger(jobs) && jobs >= 1 && jobs <= most) return jobs;
    throw new InvalidArgumentError(`It has to be a whole number from 1 to ${most}.`);
  };
}
