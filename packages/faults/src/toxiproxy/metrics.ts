import type { ManagedProxy } from './managed-proxy.ts';

/** The content type of Prometheus' text format. */
export const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

const streams = [
  ['upstream', 'toServer'],
  ['downstream', 'toClient'],
] as const;

/** Returns the counters of Toxiproxy's `-proxy-metrics` in Prometheus' text format. */
export function metricsOf(proxies: ReadonlyMap<string, ManagedProxy>): string {
  const described = [...proxies].map(([name, proxy]) => {
    const { listen, upstream } = proxy.describe();
    return { name, listen, upstream, traffic: proxy.traffic() };
  });
  const lines = (['received', 'sent'] as const).flatMap((way) => {
    const metric = `toxiproxy_proxy_${way}_bytes_total`;
    const samples = described.flatMap(({ listen: listener, name: proxy, upstream, traffic }) =>
      streams.map(([direction, to]) => {
        const labels = labelsOf({ direction, listener, proxy, upstream });
        return `${metric}{${labels}} ${traffic[way][to]}`;
      }),
    );
    return [`# HELP ${metric} Bytes ${way} by a proxy.`, `# TYPE ${metric} counter`].concat(
      samples,
    );
  });
  return `${lines.join('\n')}\n`;
}

function labelsOf(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}="${escaped(value)}"`)
    .join();
}

function escaped(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
