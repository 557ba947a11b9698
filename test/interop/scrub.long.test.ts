/** As in scrub.test.ts, of a node that does not lead. */
import { suite, test } from 'node:test';
import { findsRotIn } from './scrub-scene.ts';

suite('scrubbing a follower', { timeout: 240_000 }, () => {
  test('rot in a closed segment of a running follower is found, and healed under load', () =>
    findsRotIn('follower'));
});
