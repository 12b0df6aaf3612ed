import type { PlantedBug } from './planted-bug.ts';

const RESULTS = 'redis-failover/outcomes/results';
const CONTRACT = 'packages/queue/test/contract';
const TRACING = 'packages/queue/test/tracing';
const BOARD = 'packages/queue/test/bull-board';

export const queueOutcomeBugs: readonly PlantedBug[] = [
  {
    name: 'outcomes are lost between the consumer and the store',
    file: 'packages/queue/src/producer/freed-room.ts',
    sound: 'await subscription.acknowledge(...args);',
    broken: 'await subscription.acknowledge(args[0]);',
    tests: { path: CONTRACT, name: 'what a handler returns is the result' },
  },
  {
    name: 'a dead letter takes rights to the keys of outcomes that nobody keeps',
    file: 'packages/queue/src/redis/subscription/subscription.ts',
    sound: 'const keys = kept === undefined ? [dead] : [dead, result(id), settled(id), news];',
    broken: 'const keys = [dead, result(id), settled(id), news];',
    tests: { path: 'redis-failover/consumers/forbidden', name: 'needs no others' },
  },
  {
    name: 'an outcome that Redis has confirmed is forgotten at once',
    file: 'packages/queue/src/outcomes/outcome-keeper.ts',
    sound: 'return this.#unconfirmed.get(name) ?? this.#recent.get(name);',
    broken: 'return this.#unconfirmed.get(name);',
    tests: { path: RESULTS, name: 'is there again once the job is sent again' },
  },
  {
    name: 'a redriven job keeps the outcome of its failure',
    file: 'packages/queue/src/memory/backend.ts',
    sound: 'this.outcomes.forget(name, job.id);',
    broken: '',
    tests: { path: CONTRACT, name: 'the outcome of a dead letter is kept until it is redriven' },
  },
  {
    name: 'a consumer that has lost a job overwrites its outcome',
    file: 'packages/queue/src/memory/backend.ts',
    sound: 'if (topic.remove(me, handle)) this.outcomes.keep(name, outcomes?.get(handle));',
    broken: 'topic.remove(me, handle); this.outcomes.keep(name, outcomes?.get(handle));',
    tests: { path: CONTRACT, name: 'only by the consumer that has it' },
  },
  {
    name: 'progress is reported after its job has ended',
    file: 'packages/queue/src/outcomes/progress.ts',
    sound: 'this.#hasEnded = true;',
    broken: '',
    tests: { path: CONTRACT, name: 'after its end a job reports nothing' },
  },
  {
    name: 'the trace of a job ends where it is enqueued',
    file: 'packages/queue/src/tracing/delivered-job.ts',
    sound: '...(trace && { trace })',
    broken: '',
    tests: { path: TRACING, name: "a handler's span is a child" },
  },
  {
    name: 'while the store is away the dashboard fails',
    file: 'packages/queue/src/bull-board/topic-board.ts',
    sound: 'if (error instanceof BackendError) return otherwise();',
    broken: '',
    tests: { path: BOARD, name: 'while the store is away' },
  },
];
