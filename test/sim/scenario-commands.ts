/** The commands of scenario texts: words to calls. What they do is in scenario-stage.ts. */
import { assert } from '../../src/base/assert.ts';
import { LogIndex, NodeId } from '../../src/base/units.ts';
import type { MembershipStep } from '../../src/raft/membership.ts';
import { memberOf, type ScenarioStage } from './scenario-stage.ts';

export type Command = (stage: ScenarioStage, args: readonly string[]) => void;

export const COMMANDS: Readonly<Record<string, Command>> = {
  /**
   * nodes 3: a group with empty disks. nodes 3 spare 1: n4 runs and is no member.
   * nodes 5 planted commitsOldTerms: with a classic bug in the rules of all of them.
   */
  nodes: (stage, [count, ...options]) => {
    stage.begin(Number(count), Number(after(options, 'spare') ?? 0), after(options, 'planted'));
  },
  /** campaign n1: lets the node's election timer run out. */
  campaign: (stage, [id]) => stage.campaign(id),
  /** elect n1: campaign and settle; the node must lead in the end. */
  elect: (stage, [id]) => stage.elect(id),
  /** tick n1 20: ticks one node; `tick n1`: once. */
  tick: (stage, [id, count]) => stage.tick(id, Number(count ?? 1)),
  /** pass 30: so many times, a tick of everybody who runs, and everything settles. */
  pass: (stage, [count]) => stage.pass(Number(count)),
  /** deliver [n1 | n1 n2 [1]]: what is in flight: all, to n1, from n1 to n2, the first of those. */
  deliver: (stage, route) => stage.deliver(route),
  /** drop, hold: the same choice, lost, or late. release: what was held is in flight again. */
  drop: (stage, route) => stage.drop(route),
  hold: (stage, route) => stage.hold(route),
  release: (stage) => stage.release(),
  /** copy n1 n2: what is in flight arrives a second time, after `release`. */
  copy: (stage, route) => stage.copy(route),
  /** unreachable n1 n3: the driver of n1 learns that its way to n3 broke. */
  unreachable: (stage, [id, peer]) => {
    stage.running(id).step({ kind: 'peerUnreachable', peer: idOf(peer) });
  },
  /** persist, persist n2, persist n2 1: completes what is queued on the disks now, or the oldest only. */
  persist: (stage, [id, count]) => {
    stage.persist(id, Number(count ?? Number.POSITIVE_INFINITY));
  },
  /** settle: persists and delivers until nothing is left to do. */
  settle: (stage) => stage.settle(),
  /** propose n1 5 6: the values 5 and 6 to n1. */
  propose: (stage, [id, ...values]) => stage.propose(id, values.map(Number)),
  /** read n1: a linearizable read. */
  read: (stage, [id]) => {
    stage.running(id).read();
  },
  /** transfer n1 n2: n1 is asked to make n2 leader. */
  transfer: (stage, [id, to]) => stage.running(id).transfer(idOf(to)),

  /** learner n1 n4: n1 is asked to add n4 as a learner; `if 5`: only to the membership of entry 5. */
  learner: (stage, [id, ...rest]) => change(stage, id, ['learner', ...rest]),
  promote: (stage, [id, ...rest]) => change(stage, id, ['promote', ...rest]),
  remove: (stage, [id, ...rest]) => change(stage, id, ['remove', ...rest]),
  /** priority n1 n2 10: n1 is asked to prefer n2 as leader. */
  priority: (stage, [id, ...rest]) => change(stage, id, ['priority', ...rest]),
  /** change n1 promote n4 remove n2: several steps in one change. */
  change: (stage, [id, ...rest]) => change(stage, id, rest),

  /** cut n3: from now on what n3 sends and is sent is lost. cut n1 n2: from n1 to n2 only. heal: no more. */
  cut: (stage, [id, to]) => stage.cut(id, to),
  heal: (stage) => stage.heal(),
  /**
   * disk n1 hangs: nothing that n1 writes gets done, by `settle` neither. disk n1 moves: no more.
   * disk n1 stalled, disk n1 well: what the watchdog tells n1 about it.
   */
  disk: (stage, [id, condition]) => stage.setDisk(id, condition),
  /** pause n1: the process stands still, what it is sent waits in its sockets. resume n1: it notices. */
  pause: (stage, [id]) => stage.pause(id),
  resume: (stage, [id]) => stage.resume(id),
  /** crash n3, crash n3 keeping 1 torn 3: with one queued persist and three parts of the next on disk. */
  crash: (stage, [id, ...options]) => {
    stage.crash(id, Number(after(options, 'keeping') ?? 0), Number(after(options, 'torn') ?? 0));
  },
  /** wipe n3: while it is down its directory is lost. */
  wipe: (stage, [id]) => stage.node(id).wipe(),
  restart: (stage, [id]) => stage.node(id).start('nothing'),
  /** compact n1 7: n1 has a durable snapshot of what it applied up to 7. */
  compact: (stage, [id, through]) => stage.compact(id, Number(through)),
  /** snapshot n1 n3: the driver has brought the files, the message to install them is under way. */
  snapshot: (stage, [id, to]) => stage.sendSnapshot(id, idOf(to)),
  'snapshot-fails': (stage, [id, to]) => {
    stage.running(id).step({ kind: 'snapshotFailed', peer: idOf(to) });
  },
  /** status, status n2 n3: of all, or of some. */
  status: (stage, ids) => stage.status(ids),
};

function change(stage: ScenarioStage, id: string | undefined, words: readonly string[]): void {
  const node = stage.running(id);
  const { index } = node.status.membership;
  const asked = after(words, 'if');
  const steps: MembershipStep[] = [];
  const rest = [...words.slice(0, asked === undefined ? words.length : words.indexOf('if'))];
  while (rest.length > 0) {
    const [name, ...args] = rest.splice(0, rest[0] === 'priority' ? 3 : 2);
    steps.push(stepOf(name, args));
  }
  node.changeMembership(steps, asked === undefined ? index : LogIndex(Number(asked)));
}

function stepOf(name: string | undefined, [id, value]: readonly string[]): MembershipStep {
  const nodeId = idOf(id);
  switch (name) {
    case 'learner':
      return { kind: 'addLearner', member: memberOf(nodeId, 0) };
    case 'promote':
    case 'remove':
      return { kind: name, nodeId };
    case 'priority':
      return { kind: 'describe', member: memberOf(nodeId, Number(value)) };
    default:
      throw new Error(`Unknown step of a change: ${name}`);
  }
}

/** @returns the word that follows `name`. */
function after(words: readonly string[], name: string): string | undefined {
  const at = words.indexOf(name);
  if (at < 0) return undefined;
  const word = words[at + 1];
  assert(word !== undefined, 'an option has a value', () => ({ name }));
  return word;
}

function idOf(word: string | undefined): NodeId {
  assert(word !== undefined, 'a command names its nodes');
  return NodeId(word);
}
