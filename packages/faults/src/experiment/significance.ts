/**
 * The probability that `bad` or more of `probes` independent probes are bad by chance, when each is with the probability
 * `badShare`: the exact one-sided binomial test (Clopper and Pearson, 1934).
 */
export function binomialTail(bad: number, probes: number, badShare: number): number {
  if (bad <= 0) return 1;
  if (badShare <= 0) return 0;
  if (badShare >= 1) return 1;
  let logTerm = bad * Math.log(badShare) + (probes - bad) * Math.log1p(-badShare);
  for (let k = 1; k <= bad; k += 1) logTerm += Math.log((probes - bad + k) / k);
  let term = Math.exp(logTerm);
  let sum = term;
  for (let k = bad; k < probes; k += 1) {
    term *= ((probes - k) / (k + 1)) * (badShare / (1 - badShare));
    sum += term;
  }
  return Math.min(1, sum);
}
