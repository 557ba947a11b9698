/** A group in memory for tests of its administration: answers by a script, and keeps what it was asked. */
import { LogIndex, NodeId, Term } from '../base/units.ts';
import type {
  AdminCall,
  AdminReply,
  AdminRequest,
  AdminResponse,
  ChangedResponse,
  JoinTicket,
} from '../protocol/admin.ts';
import type { Check, Plan, PlanStep } from '../protocol/admin-plan.ts';
import type { MembersReport, NodeHealth } from '../protocol/admin-report.ts';
import { MemoryTerminal, reportOf } from './memory-environment.ts';

const [n1, n2, n3, n4] = ['n1', 'n2', 'n3', 'n4'].map(NodeId) as [NodeId, NodeId, NodeId, NodeId];

export function aStep(changes: Partial<PlanStep> = {}): PlanStep {
  return {
    kind: 'joint',
    sentence: 'exchange n3 for n4',
    status: 'later',
    quorums: [
      { voters: [n1, n2, n3], live: [n1, n2], needed: 2, tolerates: 0 },
      { voters: [n1, n2, n4], live: [n1, n2, n4], needed: 2, tolerates: 1 },
    ],
    bytes: null,
    ...changes,
  };
}

export function aPlan(changes: Partial<Plan> = {}): Plan {
  return {
    hash: '9c1e0042',
    configIndex: LogIndex(118),
    action: 'replace n3 n4',
    steps: [
      aStep({ kind: 'addLearner', sentence: 'add n4 as learner', status: 'now' }),
      aStep({ kind: 'catchUp', sentence: 'copy the log', quorums: [], bytes: 9_007_199_254_740 }),
      aStep(),
    ],
    ...changes,
  };
}

export function aCheck(changes: Partial<Check> = {}): Check {
  return {
    id: 'quorumAfter',
    verdict: 'ok',
    subject: null,
    observed: '3 of {n1,n2,n4} live',
    limit: 'at least 2',
    remedy: '',
    ...changes,
  };
}

export function aChanged(changes: Partial<ChangedResponse> = {}): ChangedResponse {
  return {
    kind: 'changed',
    state: 'done',
    sentence: 'n4 has taken the place of n3',
    phase: '',
    configIndex: LogIndex(121),
    plan: aPlan(),
    checks: [],
    progress: null,
    ticket: null,
    ...changes,
  };
}

export const aTicket: JoinTicket = {
  clusterId: 'dev',
  groupId: 'broker-a',
  nodeId: n4,
  raftAddress: '10.0.0.4:10912',
  joinAddresses: ['10.0.0.1:10912', '10.0.0.2:10912'],
  token: 'T0K3N',
  expiresAtMs: 3_600_000,
};

export function aMembersReport(changes: Partial<MembersReport> = {}): MembersReport {
  const member = (nodeId: NodeId, isLive: boolean | null): MembersReport['members'][number] => ({
    nodeId,
    role: 'voter',
    storeUuid: `c0ffee00-0000-4000-8000-00000000000${nodeId.slice(1)}`,
    raftAddress: `10.0.0.${nodeId.slice(1)}:10912`,
    priority: 0,
    isDrained: false,
    isJoining: false,
    isConnected: isLive !== false,
    isLive,
    matchIndex: LogIndex(9_007_199_254_740_991),
    lagBytes: 0,
    zone: '',
  });
  return {
    clusterId: 'dev',
    groupId: 'broker-a',
    answeredBy: n1,
    isFromLeader: true,
    term: Term(42),
    leader: n1,
    configIndex: LogIndex(118),
    isCommitted: true,
    voters: [n1, n2, n3],
    outgoing: [],
    learners: [],
    removed: [],
    members: [member(n1, true), member(n2, true), member(n3, false)],
    lock: null,
    featureLevel: 1,
    ...changes,
  };
}

export function aHealth(nodeId: NodeId, changes: Partial<NodeHealth> = {}): NodeHealth {
  return {
    nodeId,
    storeUuid: `uuid-${nodeId}`,
    version: '0.1.0',
    zone: '',
    featureLevelMax: 1,
    state: nodeId === 'n1' ? 'leading' : 'following',
    uptimeMs: 60_000,
    wallMs: 1_000_000,
    term: Term(42),
    lastIndex: LogIndex(57),
    durableIndex: LogIndex(57),
    commitIndex: LogIndex(57),
    appliedIndex: LogIndex(57),
    logSizeBytes: 1_048_576,
    diskFreeBytes: 600,
    diskTotalBytes: 1000,
    syncMsP50: 0.14,
    syncMsP99: 0.21,
    isDiskStalled: false,
    loopDelayMsP99: 11,
    swapUsedBytes: 0,
    repair: '',
    scrubFinishedAtMs: null,
    refused: '',
    bootCount: 1,
    departure: null,
    ...changes,
  };
}

/** What a change is answered with: one after the other, the last one again and again. */
export interface Script {
  readonly checks?: readonly Check[];
  readonly plan?: Plan;
  readonly changes?: readonly (AdminResponse | 'timeout')[];
}

export class MemoryGroup {
  readonly terminal: MemoryTerminal;
  readonly #script: Script;
  #changeCount = 0;
  /** null: there is none, and nobody answers what only a leader can. */
  hasLeader = true;
  answerQuestion: (request: AdminRequest, address: string) => AdminResponse | null = () => null;

  constructor(script: Script = {}, { isTty = false }: { readonly isTty?: boolean } = {}) {
    this.#script = script;
    this.terminal = new MemoryTerminal((_, address) => reportOf(address), { isTty });
    this.terminal.cluster.answerAdmin = (call, address) => this.#answer(call, address);
  }

  run(...args: readonly string[]): Promise<number> {
    return this.terminal.run(...args);
  }

  /** The changes that were asked for in earnest. */
  get changes(): readonly AdminCall[] {
    const { adminCalls } = this.terminal.cluster;
    const isEarnest = ({ request, options }: AdminCall): boolean =>
      this.answerQuestion(request, '') === null && !options.dryRun;
    return adminCalls.map(({ call }) => call).filter(isEarnest);
  }

  #answer(call: AdminCall, address: string): AdminReply {
    const question = this.answerQuestion(call.request, address);
    const needsLeader = !call.stale && call.request.kind !== 'health';
    if (!this.hasLeader && needsLeader) return failure('no leader within 2 s');
    if (question !== null) return { kind: 'answer', response: question };
    const { plan = aPlan(), checks = [aCheck()], changes = [aChanged()] } = this.#script;
    if (call.options.dryRun) {
      return { kind: 'answer', response: { kind: 'planned', plan, checks } };
    }
    const response = changes[Math.min(this.#changeCount++, changes.length - 1)];
    if (response === undefined || response === 'timeout') return failure('no commit within 10 s');
    return { kind: 'answer', response };
  }
}

function failure(message: string): AdminReply {
  return { kind: 'failure', code: 'timeout', message };
}
