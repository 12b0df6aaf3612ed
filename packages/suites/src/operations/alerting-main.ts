/** A service that alerts and may be killed: `node alerting-main.ts <options as JSON>`; it says `ready` once a burst is in. */
import { createAlertManager, webhookChannel } from '@holdfast/operations';
import { openJournal } from '@holdfast/journal';

/** Options of the service, passed as JSON in its argument. */
export interface AlertingOptions {
  readonly directory: string;
  /** The receivers of the first step and of the second. */
  readonly pagerUrl: string;
  readonly managerUrl: string;
  /** How many events of the outage one process reports. */
  readonly events: number;
  readonly hosts: number;
  readonly ackTimeoutMs: number;
}

/** `resolve` ends the outage; an id acknowledges its incident. */
export type AlertingRequest = { readonly acknowledge: string } | 'resolve';

const options: AlertingOptions = JSON.parse(process.argv[2] ?? '');
const journal = await openJournal({
  directory: options.directory,
  ownerStaleMs: 1_000,
  heartbeatMs: 100,
});
const manager = await createAlertManager({
  journal,
  channels: {
    pager: webhookChannel({ url: options.pagerUrl }),
    manager: webhookChannel({ url: options.managerUrl }),
  },
  levels: {
    critical: {
      channels: ['pager'],
      groupWaitMs: 50,
      resolveWaitMs: 100,
      escalation: { ackTimeoutMs: options.ackTimeoutMs, steps: [['manager']], loops: 0 },
    },
  },
  sendTimeoutMs: 300,
  maxRetryDelayMs: 50,
});

const signalOf = (host: number) =>
  ({ name: 'RedisDown', labels: { host: String(host) }, level: 'critical' }) as const;

process.on('message', (request: AlertingRequest) => {
  if (request !== 'resolve') {
    void manager
      .acknowledge(request.acknowledge, 'test')
      .then(() => process.send?.('acknowledged'));
    return;
  }
  const hosts = Array.from({ length: options.hosts }, (_, host) => host);
  void Promise.all(
    hosts.map((host) => manager.receive({ ...signalOf(host), status: 'resolved' })),
  ).then(() => process.send?.('resolved'));
});
process.once('disconnect', () => process.exit(0));

const burst = Array.from({ length: options.events }, (_, event) =>
  manager.receive(signalOf(event % options.hosts)),
);
await Promise.all(burst);
process.send?.('ready');
