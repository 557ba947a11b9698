/**
 * What an operator can ask a group (proto/mqraft/admin.proto is the wire form, admin-codec.ts the way
 * there). Any node can be asked. Changes are decided by the leader, through the log.
 *
 * A change is a wish for a state, not a command to do something: asked again it goes on where it is, and
 * says `alreadySo` when nothing is left. One call does what can be done at once; while something takes its
 * time (a new node copies the log) it answers `pending`, and whoever waits asks the same again.
 */
import type { LogIndex, NodeId, Term } from '../base/units.ts';
import type { Allowance, Check, Plan } from './admin-plan.ts';
import type {
  CatchupReport,
  CheckReport,
  EventsReport,
  FeaturesReport,
  MembersReport,
  NodeHealth,
} from './admin-report.ts';

/** `health` is about the asked node only and is never forwarded. */
export type AdminQuestion =
  | { readonly kind: 'members' }
  | { readonly kind: 'health' }
  | { readonly kind: 'check' }
  | { readonly kind: 'events'; readonly afterSequence: number; readonly countMax: number }
  | { readonly kind: 'catchup'; readonly nodeId: NodeId }
  | { readonly kind: 'features' };

export type AdminChange =
  /**
   * As learner. Done when it is one; the answer carries the ticket for the new process. Asked again before
   * that has joined, also with an empty address, it brings a new ticket and voids the old one.
   */
  | { readonly kind: 'add'; readonly nodeId: NodeId; readonly raftAddress: string }
  /** All of them in one joint change: three voters become five, and never four. */
  | { readonly kind: 'promote'; readonly nodeIds: readonly NodeId[] }
  | { readonly kind: 'remove'; readonly nodeIds: readonly NodeId[] }
  /** Phases: `addLearner`, `join`, `catchUp`, `joint`, `leaveJoint`, then done. */
  | {
      readonly kind: 'replace';
      readonly oldNodeId: NodeId;
      readonly newNodeId: NodeId;
      /** Empty: the new node was added before. */
      readonly raftAddress: string;
    }
  /** null: whoever is fittest. */
  | { readonly kind: 'transfer'; readonly to: NodeId | null }
  /** The node does not lead until `undrain`: what it leads it hands over, what it wins as well. */
  | { readonly kind: 'drain'; readonly nodeId: NodeId }
  | { readonly kind: 'undrain'; readonly nodeId: NodeId }
  /** Done when it is durable. `stale`: of the asked node, without a leader. */
  | { readonly kind: 'snapshot'; readonly nodeId: NodeId }
  /** Done when it is begun. */
  | { readonly kind: 'scrub'; readonly nodeId: NodeId }
  | { readonly kind: 'finalizeFeatures'; readonly level: number }
  /** Gives up the operation that holds the operator lock. With `steal` also that of somebody else. */
  | { readonly kind: 'unlock' }
  /** For its plan only: asked without `dryRun` it is refused. */
  | { readonly kind: 'rollingRestart' };

/** A new process asks to be taken in. Idempotent for the same store. */
export interface JoinRequest {
  readonly kind: 'join';
  readonly token: string;
  readonly nodeId: NodeId;
  /** Minted, and durable, before the token is used. */
  readonly storeUuid: string;
  /** Where it will be reached. */
  readonly raftAddress: string;
  /** What its operator believes; empty: whichever the group is. */
  readonly clusterId: string;
  readonly groupId: string;
  /** null: not known. */
  readonly diskFreeBytes: number | null;
}

export type AdminRequest = AdminQuestion | AdminChange | JoinRequest;

export interface ChangeOptions {
  /** Who asks, for the lock and the audit trail: `alice@bastion`. */
  readonly actor: string;
  /** Answers the plan and all checks, and changes nothing. */
  readonly dryRun: boolean;
  /** Refuse unless this config entry is in force. null: whichever is. */
  readonly ifConfig: LogIndex | null;
  /** Refuse unless the plan would have this hash. null: any. */
  readonly ifPlan: string | null;
  /** Take the operator lock from whoever holds it. */
  readonly steal: boolean;
  readonly allow: readonly Allowance[];
}

export interface AdminCall {
  readonly remainingMs: number;
  readonly hops: number;
  /** Answer from what the asked node knows, leader or not: `members`, `events`, `features`, `catchup`. */
  readonly stale: boolean;
  readonly request: AdminRequest;
  /** Looked at for changes only. */
  readonly options: ChangeOptions;
}

export const CHANGE_STATES = ['done', 'alreadySo', 'pending'] as const;

export type AdminResponse =
  | { readonly kind: 'members'; readonly report: MembersReport }
  | { readonly kind: 'health'; readonly health: NodeHealth }
  | { readonly kind: 'check'; readonly report: CheckReport }
  | { readonly kind: 'events'; readonly report: EventsReport }
  | { readonly kind: 'catchup'; readonly report: CatchupReport }
  | { readonly kind: 'features'; readonly report: FeaturesReport }
  /** Of a dry run: nothing was changed. It would be refused when a check has failed. */
  | { readonly kind: 'planned'; readonly plan: Plan; readonly checks: readonly Check[] }
  /** Nothing was changed: at least one check has failed; all are listed. */
  | { readonly kind: 'refused'; readonly plan: Plan; readonly checks: readonly Check[] }
  | ChangedResponse
  | { readonly kind: 'granted'; readonly grant: JoinGrant };

export interface ChangedResponse {
  readonly kind: 'changed';
  readonly state: (typeof CHANGE_STATES)[number];
  /** What holds now, or what is waited for. */
  readonly sentence: string;
  /** Of `pending`: the kind of the step that takes its time. Empty otherwise. */
  readonly phase: string;
  /** In force and committed when it was answered. */
  readonly configIndex: LogIndex;
  readonly plan: Plan;
  /** With the warnings among them. */
  readonly checks: readonly Check[];
  /** While a node catches up. */
  readonly progress: CatchupReport | null;
  /** Of `add` and `replace`, for as long as the new process has not joined. */
  readonly ticket: JoinTicket | null;
}

/** What the new process is started with. The token is shown once: the group keeps its hash. */
export interface JoinTicket {
  readonly clusterId: string;
  readonly groupId: string;
  readonly nodeId: NodeId;
  readonly raftAddress: string;
  /** Of members that can be asked to be taken in. */
  readonly joinAddresses: readonly string[];
  readonly token: string;
  readonly expiresAtMs: number;
}

/** What a new process must know of the group before it writes the first byte of its log. */
export interface JoinGrant {
  readonly clusterId: string;
  readonly groupId: string;
  readonly segmentSizeBytes: number;
  /** With whom the group was founded: what every log of the group stands on, also that of the new node. */
  readonly founders: readonly { readonly nodeId: NodeId; readonly raftAddress: string }[];
  readonly configIndex: LogIndex;
  readonly logSizeBytes: number;
}

/** `timeout`: no leader, or no commit, in time; of a change the outcome is unknown: ask again. */
export const ADMIN_FAILURES = [
  'badRequest',
  'unsupported',
  'underRepair',
  'busy',
  'timeout',
  /** Of `join`: see the sentence. Asking again with the same words changes nothing. */
  'joinRefused',
  'internal',
] as const;
export type AdminFailureCode = (typeof ADMIN_FAILURES)[number];

export class AdminError extends Error {
  override readonly name = 'AdminError';
  readonly code: AdminFailureCode;
  /** `message` names what was seen, the limit and the way out. */
  constructor(code: AdminFailureCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

export type AdminReply =
  | { readonly kind: 'answer'; readonly response: AdminResponse }
  | { readonly kind: 'failure'; readonly code: AdminFailureCode; readonly message: string }
  | { readonly kind: 'notLeader'; readonly term: Term; readonly leader: NodeId | null };

export const NO_OPTIONS: ChangeOptions = {
  actor: '',
  dryRun: false,
  ifConfig: null,
  ifPlan: null,
  steal: false,
  allow: [],
};

export function isChange(request: AdminRequest): request is AdminChange {
  return !isQuestion(request) && request.kind !== 'join';
}

export function isQuestion(request: AdminRequest): request is AdminQuestion {
  const { kind } = request;
  return (
    kind === 'members' ||
    kind === 'health' ||
    kind === 'check' ||
    kind === 'events' ||
    kind === 'catchup' ||
    kind === 'features'
  );
}
