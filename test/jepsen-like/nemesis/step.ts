/**
 * A fault as data. A step says everything about one fault: what, where, for how long; who carries it
 * out (executor.ts) decides nothing. Roles are resolved when the step begins, since nobody knows before
 * who will lead.
 */

export type Target =
  | { readonly pick: 'leader' }
  /** The followers in order of their names, counted from 0. */
  | { readonly pick: 'follower'; readonly nth: number }
  | { readonly pick: 'node'; readonly nodeId: string }
  | { readonly pick: 'followers' }
  | { readonly pick: 'all' }
  /** For scripts: whom the step of that number met, counted from 0; or everybody else. */
  | { readonly pick: 'sameAs' | 'otherThan'; readonly step: number };

export type LogDamage = 'bitFlip' | 'truncate' | 'chunkCopy';

export type Step =
  | { readonly kind: 'kill'; readonly target: Target; readonly downMs: number }
  | { readonly kind: 'pause'; readonly target: Target; readonly lastsMs: number }
  /**
   * `isolate`: the target from everybody. `majority`: the target with as many others as make a minority.
   * `ring`: each node sees its two neighbours. `bridge`: two halves, and one node that sees both.
   */
  | {
      readonly kind: 'partition';
      readonly shape: 'isolate' | 'majority' | 'ring' | 'bridge';
      readonly target: Target;
      readonly lastsMs: number;
    }
  /** `deaf`: nothing of other nodes reaches it. `mute`: it reaches no other node. */
  | {
      readonly kind: 'oneWay';
      readonly shape: 'deaf' | 'mute';
      readonly target: Target;
      readonly lastsMs: number;
    }
  /** Cut off and back, again and again. */
  | {
      readonly kind: 'flap';
      readonly target: Target;
      readonly periodMs: number;
      readonly lastsMs: number;
    }
  | { readonly kind: 'clientCut'; readonly target: Target; readonly lastsMs: number }
  | {
      readonly kind: 'slowLinks';
      readonly target: Target;
      readonly lossPercent: number;
      readonly bytesPerSecond: number;
      readonly delayMs: number;
      readonly lastsMs: number;
    }
  /** Starts come `staggerMs` apart. */
  | {
      readonly kind: 'powerCut';
      readonly target: Target;
      readonly downMs: number;
      readonly staggerMs: number;
    }
  /**
   * The sync of that number fails, or with `always` each from that on; then the node is started again. Who lives
   * on all the same has promised what its disk does not hold: it loses its power. `ofLog`: only syncs of the files of
   * the log.
   */
  | {
      readonly kind: 'syncError';
      readonly target: Target;
      readonly nth: number;
      readonly always: boolean;
      readonly ofLog: boolean;
    }
  | { readonly kind: 'stall'; readonly target: Target; readonly lastsMs: number }
  | {
      readonly kind: 'fillDisk';
      readonly target: Target;
      readonly leaveBytes: number;
      readonly lastsMs: number;
    }
  /** While down. `helix`: all nodes, each at a place of its own. */
  | {
      readonly kind: 'damageLog';
      readonly target: Target;
      readonly damage: LogDamage;
      readonly isHelix: boolean;
      readonly salt: number;
      readonly downMs: number;
    }
  | {
      readonly kind: 'damageSuperblock';
      readonly target: Target;
      readonly slots: readonly (0 | 1)[];
      readonly downMs: number;
    }
  | { readonly kind: 'deleteDerived'; readonly target: Target; readonly downMs: number }
  /** The node starts with an empty directory, then gets its own back. */
  | { readonly kind: 'wipe'; readonly target: Target; readonly lastsMs: number }
  /** The node starts with what its directory was `ageMs` ago, then gets its own back. */
  | {
      readonly kind: 'oldCopy';
      readonly target: Target;
      readonly ageMs: number;
      readonly lastsMs: number;
    }
  /**
   * As few as may be are cut off, and miss what the others acknowledge for `aloneMs`. Then of the others all are dead
   * but one, who comes back with an empty directory, or with an image from before; so for `lastsMs` everybody who
   * lives has missed it, and they are a majority.
   */
  | {
      readonly kind: 'forgottenByAll';
      readonly by: 'wipe' | 'oldImage';
      readonly aloneMs: number;
      readonly lastsMs: number;
    }
  /** A second process with a copy of the node's directory and the node's name. */
  | { readonly kind: 'clone'; readonly target: Target; readonly lastsMs: number }
  /** A process of another cluster that calls this one's nodes by the name of the target. */
  | { readonly kind: 'stranger'; readonly target: Target; readonly lastsMs: number }
  | { readonly kind: 'transferStorm'; readonly lastsMs: number }
  /** `operators`: how many make each change at the same time. */
  | {
      readonly kind: 'membership';
      readonly learnerMs: number;
      readonly voterMs: number;
      readonly operators: 1 | 2;
    }
  /** A voter dies for ever and another node takes its place; `operators` do it at the same time. */
  | { readonly kind: 'replaceDead'; readonly operators: 1 | 2 }
  /** A member of the run dies for ever, directory and all, and a new node takes its place. */
  | { readonly kind: 'replaceMember'; readonly target: Target; readonly operators: 1 | 2 }
  | { readonly kind: 'rollingRestart'; readonly pauseMs: number }
  /** One after the other from the older program to this one; with `goesBack` back again, and once more on. */
  | {
      readonly kind: 'rollingUpgrade';
      readonly pauseMs: number;
      /** With the two programs in one group. */
      readonly mixedMs: number;
      readonly goesBack: boolean;
    }
  /** Down until the others have removed what it would need next, but no longer than `lastsMs`. */
  | { readonly kind: 'compactPast'; readonly target: Target; readonly lastsMs: number }
  | {
      readonly kind: 'clockJump';
      readonly target: Target;
      readonly jumpMs: number;
      readonly lastsMs: number;
    }
  | {
      readonly kind: 'clockRate';
      readonly target: Target;
      readonly rate: number;
      readonly lastsMs: number;
    }
  /** The process lives with a quartz that is wrong by this factor: durations and timers follow it too. */
  | {
      readonly kind: 'clockDrift';
      readonly target: Target;
      readonly rate: number;
      readonly lastsMs: number;
    };

export type StepKind = Step['kind'];

export interface ScheduledStep {
  readonly atMs: number;
  readonly row: string;
  readonly step: Step;
}
