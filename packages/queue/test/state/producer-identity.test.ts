import { expect, test } from '@jest/globals';
import { createEmitter } from '@holdfast/foundation';
import { type FakeClock, createFakeClock } from '@holdfast/foundation/testing';
import { createMemoryJournal } from '@holdfast/journal';
import type { Publication, PublishReceipt } from '../../src/backend.ts';
import { BackendError } from '../../src/errors.ts';
import { Backlog } from '../../src/fallback/backlog.ts';
import type { QueueEvents } from '../../src/queue.ts';
import { ProducerIdentity } from '../../src/state/producer-identity.ts';
import { queueEventKinds } from '../../src/state/queue-events.ts';
import { RemainingDelays } from '../../src/state/remaining-delays.ts';
import { FakeBackend } from '../fake/fake-backend.ts';

const fenced = new BackendError('fenced', 'another owner');

class RecordingBackend extends FakeBackend {
  readonly published: Publication[] = [];

  override publish(publication: Publication): Promise<PublishReceipt> {
    this.published.push(publication);
    return super.publish(publication);
  }
}

interface Opened {
  readonly identity: ProducerIdentity;
  readonly backend: RecordingBackend;
  readonly renewed: QueueEvents['identity-renewed'][];
  readonly clock: FakeClock;
  readonly publication: () => Publication;
}

function open(fallback: 'memory' | 'journal' = 'journal'): Opened {
  const clock = createFakeClock();
  const renewed: QueueEvents['identity-renewed'][] = [];
  const events = createEmitter<QueueEvents>('test:queue', queueEventKinds);
  events.on('identity-renewed', (event) => renewed.push(event));
  const backend = new RecordingBackend(undefined, clock);
  backend.up();
  const backlog = new Backlog({ journal: createMemoryJournal(), clock, retainMs: 0 });
  const delays = new RemainingDelays(clock);
  const identity = new ProducerIdentity({ backend, backlog, fallback, events, clock, delays });
  const publication = (): Publication => ({
    topic: 't',
    ...identity.owner,
    originEpoch: 1,
    floor: 0,
    previous: 0,
    jobs: [],
  });
  return { identity, backend, renewed, clock, publication };
}

test('a fenced publication is sent again under a new identity, which is told once', async () => {
  const { identity, backend, renewed, clock, publication } = open();
  const former = identity.owner.producer;
  const inFlight = [publication(), publication()];
  await Promise.all(inFlight.map((each) => identity.publishRenewed(each, fenced)));
  expect(identity.renewals).toBe(1);
  expect(identity.owner.producer).not.toBe(former);
  expect(renewed).toEqual([{ former, identity: identity.owner.producer, atMs: clock.now() }]);
  const producers = backend.published.map(({ producer }) => producer);
  expect(producers).toEqual([identity.owner.producer, identity.owner.producer]);
});

test('any other error is the answer itself, and nothing is sent', () => {
  const { identity, backend, renewed, publication } = open();
  const refused = new BackendError('denied', 'no right');
  expect(() => identity.publishRenewed(publication(), refused)).toThrow(refused);
  const foreign = new Error('unheard of');
  expect(() => identity.publishRenewed(publication(), foreign)).toThrow(foreign);
  expect([backend.published, renewed]).toEqual([[], []]);
});

test('a journal in memory has no copies: it stays fenced', () => {
  const { identity, backend, publication } = open('memory');
  expect(() => identity.publishRenewed(publication(), fenced)).toThrow(fenced);
  expect(backend.published).toEqual([]);
});
