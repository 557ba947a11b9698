/** Real brokers whose closed segments rot while they run: the scrubber finds it, and the node heals under load. */
import { equal, match, ok } from 'node:assert/strict';
import { suite, test } from 'node:test';
import { aWorkingDirectory, mqRaft } from './dev-process.ts';
import { owning } from './owner.ts';
import { findsRotIn, flipIn, NO_SCRUB, underLoad } from './scrub-scene.ts';

suite('scrubbing', { timeout: 240_000 }, () => {
  test('rot in a closed segment of a running leader is found, and healed under load', () =>
    findsRotIn('leader'));

  test('verify: three sound replicas are equal under load; a flipped bit is named', async () => {
    await owning(async (owner) => {
      const group = await underLoad(owner, 'verify', NO_SCRUB, 'follower');
      const { cluster, load, victim } = group;
      const cwd = aWorkingDirectory(owner);
      const endpoints = cluster.nodes.map(({ raft }) => raft).join(',');
      const sound = await mqRaft(owner, cwd, 'verify', '--endpoints', endpoints, '-o', 'json');
      equal(sound.code, 0, sound.stdout + sound.stderr);
      const said = JSON.parse(sound.stdout) as {
        readonly equal: boolean;
        readonly comparedAtIndex: string;
        readonly camps: readonly { readonly nodeIds: readonly string[] }[];
        readonly nodes: readonly { readonly derived: { readonly outcome: string } }[];
      };
      equal(said.equal, true);
      equal(said.camps[0]?.nodeIds.length, 3);
      ok(Number(said.comparedAtIndex) > 100);
      for (const { derived } of said.nodes) equal(derived.outcome, 'same');
      flipIn(cluster, victim);
      const damaged = await mqRaft(
        owner,
        cwd,
        'verify',
        '--endpoints',
        endpoints,
        '--skip',
        'derived',
      );
      equal(damaged.code, 8, damaged.stdout + damaged.stderr);
      match(damaged.stdout.replace(/\s+/g, ' '), /is damaged: found bytes that are not entry/);
      equal(await cluster.exitOf(victim), 76);
      await cluster.startNode(victim);
      await load.stop();
      await cluster.converged();
      const whole = await mqRaft(owner, cwd, 'verify', '--endpoints', endpoints);
      equal(whole.code, 0, whole.stdout + whole.stderr);
      match(whole.stdout, /sound, and equal at entry \d+/);
    });
  });
});
