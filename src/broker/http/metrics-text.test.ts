import { equal } from 'node:assert/strict';
import { test } from 'node:test';
import { MetricsText } from './metrics-text.ts';

test('a page is exactly what the format asks for', () => {
  const text = new MetricsText();
  text.counter('messages_total', 'Messages.', 12);
  text.gauge('role', 'One for the role.', [
    { labels: { role: 'leader' }, value: 1 },
    { labels: { role: 'follower' }, value: 0 },
  ]);
  text.histogram('sync_seconds', 'Sync time.', {
    buckets: [
      [0.001, 3],
      [0.01, 5],
      [Number.POSITIVE_INFINITY, 6],
    ],
    count: 6,
    sum: 0.25,
  });
  equal(
    text.toString(),
    `# HELP messages_total Messages.
# TYPE messages_total counter
messages_total 12
# HELP role One for the role.
# TYPE role gauge
role{role="leader"} 1
role{role="follower"} 0
# HELP sync_seconds Sync time.
# TYPE sync_seconds histogram
sync_seconds_bucket{le="0.001"} 3
sync_seconds_bucket{le="0.01"} 5
sync_seconds_bucket{le="+Inf"} 6
sync_seconds_sum 0.25
sync_seconds_count 6
`,
  );
});

test('label values are escaped and odd numbers have the spelling of the format', () => {
  const text = new MetricsText();
  text.gauge('a', 'b\\c\nd', [{ labels: { x: 'q"u\\o\nte' }, value: Number.NaN }]);
  text.gauge('e', 'f', Number.NEGATIVE_INFINITY);
  equal(
    text.toString(),
    '# HELP a b\\\\c\\nd\n# TYPE a gauge\na{x="q\\"u\\\\o\\nte"} NaN\n# HELP e f\n# TYPE e gauge\ne -Inf\n',
  );
});
