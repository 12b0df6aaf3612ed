import { describe, expect, jest, test } from '@jest/globals';
import { seededRandom } from '@holdfast/foundation';
import { createFakeClock } from '@holdfast/foundation/testing';
import {
  type Feature,
  FeatureCycleError,
  type FeatureState,
  UnknownFeatureError,
  createGracefulDegradation,
} from '@holdfast/operations';

const RESTORE_MS = 30_000;

function degradationOf(features: Record<string, Feature>) {
  const clock = createFakeClock();
  const degradation = createGracefulDegradation({ features, clock });
  const changes: string[] = [];
  degradation.on('changed', ({ feature, from, to }) => changes.push(`${feature} ${from} → ${to}`));
  return { clock, degradation, changes };
}

const shop = {
  database: {},
  cache: {},
  search: { needs: ['database'], prefers: ['cache'] },
  recommendations: { needs: ['search'] },
  checkout: { needs: ['database'] },
};

describe('the graph', () => {
  test('a circle is refused with its features, before anything runs', () => {
    const cyclic = { a: { needs: ['b'] }, b: { prefers: ['c'] }, c: { needs: ['a'] }, d: {} };
    expect(() => degradationOf(cyclic)).toThrow(FeatureCycleError);
    expect(() => degradationOf(cyclic)).toThrow('a → b → c → a');
    expect(() => degradationOf({ a: { needs: ['a'] } })).toThrow('a → a');
  });

  test('a feature that does not exist is refused, where it is needed and where it is asked for', () => {
    expect(() => degradationOf({ a: { needs: ['b'] } })).toThrow(UnknownFeatureError);
    const { degradation } = degradationOf(shop);
    expect(() => degradation.checkFeatureAvailability('mail')).toThrow('"mail"');
    expect(() => degradation.degradeFeature('__proto__', 'x')).toThrow(UnknownFeatureError);
  });

  test('a feature is as bad as what it needs at any depth, and degraded without what it prefers', () => {
    const { degradation } = degradationOf(shop);
    degradation.degradeFeature('cache', 'Redis is away');
    expect(degradation.getStats().features).toEqual({
      database: 'on',
      cache: 'off',
      search: 'degraded',
      recommendations: 'degraded',
      checkout: 'on',
    });
    degradation.degradeFeature('database', 'read-only');
    expect(degradation.checkFeatureAvailability('recommendations')).toBe(false);
    expect(degradation.report('recommendations')).toMatchObject({
      effective: 'off',
      own: 'on',
      cause: 'database',
      reason: 'read-only',
    });
    expect(degradation.dependentsOf('database')).toEqual(['search', 'recommendations', 'checkout']);
  });

  test('effective states are those of a definition by recursion, in a thousand random graphs', async () => {
    const random = seededRandom(5);
    const worse = { on: 0, degraded: 1, off: 2 };
    for (let round = 0; round < 1_000; round += 1) {
      const count = 2 + Math.floor(random() * 8);
      const names = Array.from({ length: count }, (_, index) => `f${index}`);
      const features = Object.fromEntries(
        names.map((name, index) => [
          name,
          {
            needs: names.slice(0, index).filter(() => random() < 0.3),
            prefers: names.slice(0, index).filter(() => random() < 0.2),
          },
        ]),
      );
      const { degradation } = degradationOf(features);
      const own = new Map<string, 'degraded' | 'off'>();
      for (const name of names) {
        if (random() > 0.3) continue;
        const state = random() < 0.5 ? 'degraded' : 'off';
        own.set(name, state);
        degradation.degradeFeature(name, 'test', state);
      }
      const expected = (name: string): 'on' | 'degraded' | 'off' => {
        const { needs, prefers } = features[name] ?? { needs: [], prefers: [] };
        const soft = prefers.map((each): FeatureState =>
          expected(each) === 'on' ? 'on' : 'degraded',
        );
        const all: FeatureState[] = [
          own.get(name) ?? 'on',
          ...needs.map((each) => expected(each)),
          ...soft,
        ];
        return all.reduce((worst, each) => (worse[each] > worse[worst] ? each : worst));
      };
      for (const name of names) expect(degradation.report(name).effective).toBe(expected(name));
    }
  });
});

describe('changes', () => {
  test('dependents are told when their effective state changes, and at no other time', async () => {
    const { clock, degradation, changes } = degradationOf(shop);
    degradation.degradeFeature('cache', 'slow', 'degraded');
    degradation.degradeFeature('cache', 'slower', 'degraded');
    degradation.degradeFeature('cache', 'gone');
    expect(changes).toEqual([
      'cache on → degraded',
      'search on → degraded',
      'recommendations on → degraded',
      'cache degraded → off',
    ]);
    changes.length = 0;
    degradation.degradeFeature('search', 'its own index is old', 'degraded');
    expect(changes).toEqual([]);
    degradation.restoreFeature('cache');
    await clock.advance(RESTORE_MS);
    expect(changes).toEqual(['cache off → on']);
  });

  test('a flapping feature goes once and comes back once it has worked for long enough', async () => {
    const { clock, degradation, changes } = degradationOf(shop);
    for (let flap = 0; flap < 20; flap += 1) {
      degradation.degradeFeature('database', 'flaps');
      await clock.advance(1_000);
      degradation.restoreFeature('database');
      await clock.advance(RESTORE_MS - 1);
    }
    expect(degradation.report('database')).toMatchObject({ restoresInMs: 1 });
    expect(changes.filter((change) => change.startsWith('database'))).toEqual([
      'database on → off',
    ]);
    await clock.advance(1);
    expect(degradation.checkFeatureAvailability('checkout')).toBe(true);
    expect(clock.pendingTimers).toBe(0);
  });

  test('adjustments run once at each effective change, and one that throws stops none of the others', async () => {
    const done: string[] = [];
    const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
    const { clock, degradation } = degradationOf({
      mail: {
        adjust: () => {
          throw new Error('no SMS gateway');
        },
      },
      email_notifications: {
        needs: ['mail'],
        adjust: (state, reason) => done.push(`SMS instead: ${state}, ${reason}`),
        restore: () => done.push('mail again'),
      },
    });
    degradation.degradeFeature('mail', 'SMTP refuses');
    degradation.degradeFeature('mail', 'SMTP still refuses');
    degradation.restoreFeature('mail');
    await clock.advance(RESTORE_MS);
    expect(done).toEqual(['SMS instead: off, SMTP refuses', 'mail again']);
    expect(String(warn.mock.calls[0]?.[0])).toContain('no SMS gateway');
    warn.mockRestore();
  });

  test('a listener that asks sees the whole of the change', () => {
    const { degradation } = degradationOf(shop);
    const seen: string[] = [];
    degradation.on('changed', () => seen.push(degradation.report('checkout').effective));
    degradation.degradeFeature('database', 'gone');
    expect(new Set(seen)).toEqual(new Set(['off']));
  });

  test('after close nothing is pending', async () => {
    const { clock, degradation } = degradationOf(shop);
    degradation.degradeFeature('cache', 'gone');
    degradation.restoreFeature('cache');
    degradation.close();
    expect(clock.pendingTimers).toBe(0);
    await clock.advance(RESTORE_MS * 2);
    expect(degradation.checkFeatureAvailability('cache')).toBe(false);
  });
});
