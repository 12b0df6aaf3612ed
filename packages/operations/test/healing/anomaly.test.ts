import { expect, test } from '@jest/globals';
import { seededRandom } from '@holdfast/foundation';
import { createAnomalyDetector } from '@holdfast/operations';

/** Lognormal latencies around 100 ms, a sample every 10 s. */
function latencies(seed: number): () => number {
  const random = seededRandom(seed);
  return () => {
    const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
    return 100 * Math.exp(0.3 * normal);
  };
}

test('days of usual latencies make no alarm, and four times the latency does within a minute', () => {
  const DAY = 8_640;
  let alarms = 0;
  for (let seed = 1; seed <= 5; seed += 1) {
    const next = latencies(seed);
    const detector = createAnomalyDetector();
    for (let sample = 0; sample < DAY; sample += 1) {
      if (detector.observe(next()).isAnomalous) alarms += 1;
    }
    const readings = Array.from({ length: 6 }, () => detector.observe(4 * next()));
    expect(readings.at(-1)?.isAnomalous).toBe(true);
  }
  expect(alarms).toBe(0);
});

test('one outlier, however large, is no anomaly', () => {
  const detector = createAnomalyDetector();
  const next = latencies(3);
  for (let sample = 0; sample < 100; sample += 1) detector.observe(next());
  const outlier = detector.observe(1e9);
  expect(outlier.score).toBeGreaterThan(4);
  expect(outlier.isAnomalous).toBe(false);
});

test('a constant series has a spread all the same, and a drop counts on its side only', () => {
  const above = createAnomalyDetector({ hits: 1, of: 1 });
  const below = createAnomalyDetector({ hits: 1, of: 1, side: 'below' });
  for (let sample = 0; sample < 20; sample += 1) {
    above.observe(100);
    below.observe(100);
  }
  expect(above.observe(101).isAnomalous).toBe(false);
  expect(above.observe(1).isAnomalous).toBe(false);
  expect(below.observe(1).isAnomalous).toBe(true);
});

test('what is no number is refused', () => {
  expect(() => createAnomalyDetector().observe(Number.NaN)).toThrow(
    expect.objectContaining({ code: 'INVALID_OPTION' }),
  );
});
