import type { PlantedBug } from '../planted-bug.ts';

export const faultsBugs: readonly PlantedBug[] = [
  {
    name: 'a proxy gives up its address before it has the other one',
    file: 'packages/faults/src/toxiproxy/managed-proxy.ts',
    sound: 'const next = await openProxy(to, this.#options);',
    broken: 'await this.#proxy.close();\n    const next = await openProxy(to, this.#options);',
    tests: {
      path: 'packages/faults/test/proxy/toxiproxy-changes',
      name: 'the proxy goes on as it was',
    },
  },
  {
    name: 'the HTTP proxy drops the bytes of trailers',
    file: 'packages/faults/src/http/chunked-scanner.ts',
    sound: "else this.#state = this.#leftBytes === 0 ? 'trailers' : 'content';",
    broken: "else this.#state = this.#leftBytes === 0 ? 'done' : 'content';",
    tests: { path: 'packages/faults/test/proxy/http-transparency', name: 'passes byte for byte' },
  },
  {
    name: 'a delayed call is made after the calls behind it',
    file: 'packages/faults/src/injector/chaos-fault-injector.ts',
    sound: 'let result: T = await fn(signal);',
    broken:
      "for (const { kind, fault } of faults)\n    if (kind === 'network_delay') await new Promise<void>((resolve) => void clock.schedule(fault.latencyMs, resolve));\n  let result: T = await fn(signal);",
    tests: {
      path: 'packages/faults/test/injector/order',
      name: 'reach the server in their order with some calls late',
    },
  },
  {
    name: 'a session stays read-only after the statement that was to be',
    file: 'packages/faults/src/protocol/postgres/read-only-session.ts',
    sound: "if (exposed?.savepoint !== undefined && this.#status === 'T')",
    broken: "if (exposed?.savepoint !== undefined && this.#status === 'E')",
    tests: { path: 'packages/suites/test/chaos/read-only', name: 'a session is what it was' },
  },
  {
    name: 'a probe that was held up until the fault ended does not show that the endpoint is back',
    file: 'packages/faults/src/experiment/outage-times.ts',
    sound: 'Math.max(startedMs, endedMs - usualLatencyMs),',
    broken: 'Math.max(startedMs, endedMs - usualLatencyMs) * 0 + startedMs,',
    tests: {
      path: 'packages/faults/test/experiment/measured-times',
      name: 'an outage by (silence|latency) is as long as it was',
    },
  },
  {
    name: 'a flapping endpoint is back after its first good second',
    file: 'packages/faults/src/experiment/recovery.ts',
    sound: 'Math.min(2 * detection.longestRespiteMs(), longestMs)',
    broken: 'Math.min(0 * detection.longestRespiteMs(), longestMs)',
    tests: {
      path: 'packages/faults/test/experiment/verdicts',
      name: 'has to be good for twice as long',
    },
  },
  {
    name: 'a signal ends the process before the fault is undone',
    file: 'packages/faults/src/experiment/process-end.ts',
    sound: 'if (!isEnding) await undoAll(signal);',
    broken: 'if (!isEnding) void undoAll(signal);',
    tests: {
      path: 'packages/faults/test/experiment/experiment-interrupted',
      name: 'a fault is undone before SIGTERM',
    },
  },
  {
    name: 'strikes that an earlier fault hides are counted',
    file: 'packages/faults/src/fault-injector.ts',
    sound: 'return hidden.has(kind) ? [] : (this.#take(kind, random) ?? []);',
    broken: 'return this.#take(kind, random) ?? [];',
    tests: {
      path: 'packages/faults/test/injector/felt-faults',
      name: 'an HTTP proxy counts the faults that its client sees',
    },
  },
  {
    name: 'a load leaves out the requests without a response',
    file: 'packages/faults/src/load/generate-load.ts',
    sound: 'for (const arrival of this.#inFlight) record.unanswered(arrival, nowMs);',
    broken: '',
    tests: { path: 'packages/faults/test/load', name: 'a dead service has the latency' },
  },
  {
    name: 'a load that is behind its rate gives the event loop no turn',
    file: 'packages/faults/src/load/generate-load.ts',
    sound: 'else await yieldTurn(clock, SLICE_MS);',
    broken: '',
    tests: { path: 'packages/faults/test/load', name: 'an abort is heard at once' },
  },
  {
    name: 'a duplicate of a wrapped client has no faults',
    file: 'packages/faults/src/injector/clients/wrap-members.ts',
    sound: 'if (isClient(value)) return wrapOnce(value, ways, known);',
    broken: '',
    tests: { path: 'packages/faults/test/injector/ways-of-redis', name: 'duplicate' },
  },
  {
    name: 'a damaged response waits for its whole body',
    file: 'packages/faults/src/injector/damage/damaged-stream.ts',
    sound: 'if (passed.chunk === undefined) return pull(controller);',
    broken: 'if (end === undefined) return pull(controller);',
    tests: { path: 'packages/faults/test/injector/types-stay', name: 'the head of an endless' },
  },
  {
    name: 'while a proxy refuses, its port is free for anyone',
    file: 'packages/faults/src/proxy/listener.ts',
    sound: 'this.#portHolder = connect({ host, port, localAddress: host, localPort: port });',
    broken: 'this.#portHolder = connect({ host, port });',
    tests: {
      path: 'packages/faults/test/proxy/listen',
      name: 'its port is given to no other process',
    },
  },
  {
    name: 'a slice may vary by more than its length',
    file: 'packages/faults/src/proxy/kinds/slice.ts',
    sound: 'jitterBytes >= sliceBytes)',
    broken: 'jitterBytes === sliceBytes)',
    tests: { path: 'packages/faults/test/proxy/held-bytes', name: 'its whole or more, is refused' },
  },
];
