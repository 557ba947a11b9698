/** What `mq-raft dev` shows: the cluster at a glance, what it promises, what to try next. */
import type { ClusterStatus, MemberStatus } from '../../client/cluster-status.ts';
import type { DevNodeRecord } from '../dev-record.ts';
import { jsonLine } from './json.ts';
import { lagOf, stateOf } from './status.ts';
import {
  type Cell,
  type Column,
  cell,
  durationText,
  type Paint,
  tableLines,
  wrap,
} from './text.ts';

export interface DevNode extends DevNodeRecord {
  readonly pid: number;
  /** Measured by the node when it started; null if it did not say. */
  readonly syncMsP99: number | null;
}

export interface DevView {
  readonly version: { readonly mqRaft: string; readonly node: string };
  /** As the user wrote it. */
  readonly directory: string;
  /** Commands in this directory find the cluster by themselves. */
  readonly isDefaultDirectory: boolean;
  readonly nodes: readonly DevNode[];
  readonly nameServers: readonly { readonly pid: number; readonly address: string }[];
  readonly autoCreateTopics: boolean;
  readonly status: ClusterStatus;
}

/** From here on there is room for hosts beside the ports. */
const WIDE_COLUMNS = 100;
const LABEL_WIDTH = 12;
const DOT = '  ·  ';

export function devBanner(view: DevView, columns: number, paint: Paint): string {
  const { version, directory, nodes } = view;
  const program = `mq-raft ${version.mqRaft}`;
  const rest = [`Node ${version.node}`, `data ${directory}`];
  const isLong = [program, ...rest].join(DOT).length > columns;
  const title = [paint(program, 'bold'), ...rest].join(isLong ? '\n' : DOT);
  const elsewhere = view.isDefaultDirectory ? '' : ` --dir ${directory}`;
  const heading = paint('Try, in another terminal:', 'bold');
  const lines = [
    title,
    '',
    ...nodeTable(view, columns >= WIDE_COLUMNS, paint),
    '',
    ...facts(view, columns, paint),
    '',
    heading,
    ...tries(view),
    '',
    ...wrap(
      `Press Ctrl-C to stop. Data is kept; \`npx mq-raft dev${elsewhere} --wipe\` starts over.`,
      columns,
    ),
  ];
  if (nodes.length === 1)
    lines.push('One node: no fail-over. `npx mq-raft dev --dir ./other` makes a group of three.');
  return `${lines.join('\n')}\n`;
}

function nodeTable(view: DevView, isWide: boolean, paint: Paint): readonly string[] {
  const shown = (address: string): string => (isWide ? address : portOf(address));
  const align = isWide ? 'left' : 'right';
  const columns: readonly Column[] = [
    { title: 'node', align: 'left' },
    { title: 'role', align: 'left' },
    { title: 'pid', align: 'right' },
    { title: 'gRPC', align },
    { title: 'raft', align },
    { title: 'http', align },
    { title: 'fsync p99', align: 'right' },
    { title: 'state', align: 'left' },
  ];
  const rows = view.nodes.map((node): readonly Cell[] => {
    const member = memberOf(view.status, node.id);
    const { syncMsP99: p99 } = node;
    const state = member === null ? 'unreachable' : stateOf(member, leaderReport(view.status));
    return [
      cell(node.id),
      roleCell(member),
      cell(node.pid),
      cell(shown(node.grpc)),
      cell(shown(node.raft)),
      cell(shown(node.http)),
      cell(p99 === null ? '-' : durationText(p99)),
      cell(state, state === 'ready' ? 'good' : 'bad'),
    ];
  });
  return tableLines(columns, rows, paint);
}

function facts(view: DevView, columns: number, paint: Paint): readonly string[] {
  const first = view.nodes[0];
  const topics = view.autoCreateTopics
    ? 'created by the first client that asks for them'
    : 'must be created before use';
  const rows: readonly (readonly [string, string])[] = [
    ['gRPC', `${first?.grpc}, endpoint of RocketMQ 5 clients; any node serves`],
    ['Remoting', 'not yet: RocketMQ 4 clients cannot connect'],
    ['NameServer', view.nameServers.map(({ address }) => address).join(', ')],
    ['Metrics', `http://${first?.http}/metrics, one for each node`],
    ['Topics', topics],
    ['Logs', `${view.directory}/logs`],
    ['Durability', promiseFor(view.nodes.length)],
  ];
  return rows.flatMap(([label, text]) => {
    const wrapped = wrap(text, columns - LABEL_WIDTH - 2);
    return wrapped.map((line, i) => {
      const head = (i === 0 ? label : '').padEnd(LABEL_WIDTH);
      return `  ${paint(head, 'dim')}${line}`;
    });
  });
}

/** What SEND_OK means, for this number of nodes (design, promise 1). */
function promiseFor(nodeCount: number): string {
  if (nodeCount === 1) {
    return 'a SEND_OK is on disk: it survives a crash and a power cut, not the loss of the disk';
  }
  const lost = (nodeCount - 1) / 2;
  const few = lost === 1 ? 'any 1 node' : `any ${lost} nodes`;
  return `a SEND_OK is on the disks of a majority: it survives the loss of ${few} and a power cut of all ${nodeCount}`;
}

function tries(view: DevView): readonly string[] {
  const addresses = view.nameServers.map(({ address }) => address).join(',');
  const leader = view.nodes.find(({ id }) => id === view.status.groups[0]?.leader);
  const commands = [
    ...(view.isDefaultDirectory ? [] : [`export MQ_RAFT_NAMESRV=${addresses}`]),
    'npx mq-raft topic create orders',
    'npx mq-raft send orders "hello" --key A-1',
    'npx mq-raft consume orders --group demo --max 1',
    'npx mq-raft status',
  ];
  if (leader !== undefined && view.nodes.length > 1) {
    commands.push(`kill -9 ${leader.pid}    # the leader: watch another one take over`);
  }
  return commands.map((command) => `  ${command}`);
}

export function devJson(view: DevView): string {
  return jsonLine({
    nodes: view.nodes.map((node) => ({
      id: node.id,
      pid: node.pid,
      role: memberOf(view.status, node.id)?.report?.role ?? null,
      grpc: node.grpc,
      // Null until the classic protocol exists.
      remoting: null,
      raft: node.raft,
      http: node.http,
      dir: node.dir,
    })),
    namesrv: view.nameServers,
    grpcEndpoints: view.nodes[0]?.grpc ?? null,
  });
}

/** One line for each thing that is different now; none when nothing is. */
export function statusChanges(before: ClusterStatus, after: ClusterStatus): readonly string[] {
  const lines: string[] = [];
  const [was, is] = [before.groups[0]?.leader ?? null, after.groups[0]?.leader ?? null];
  const term = leaderReport(after)?.term;
  if (is === null && was !== null) lines.push(`no leader (it was ${was}): electing`);
  if (is !== null && is !== was) {
    lines.push(`${is} is LEADER of term ${term}${was === null ? '' : ` (it was ${was})`}`);
  }
  if (is !== null && is === was && term !== leaderReport(before)?.term) {
    lines.push(`${is} is LEADER again, of term ${term}`);
  }
  for (const node of after.groups[0]?.nodes ?? []) {
    const old = memberOf(before, node.nodeId);
    if (old === null) continue;
    const [stateBefore, state] = [
      stateOf(old, leaderReport(before)),
      stateOf(node, leaderReport(after)),
    ];
    const isNews = state !== stateBefore && state !== 'no leader' && stateBefore !== 'no leader';
    if (isNews) lines.push(`${node.nodeId} is ${state}${behindText(node, after)}`);
  }
  return lines;
}

function behindText({ report }: MemberStatus, status: ClusterStatus): string {
  const lag = lagOf(report, leaderReport(status)) ?? 0;
  return lag > 0 ? `, ${lag} entries behind` : '';
}

function memberOf({ groups }: ClusterStatus, nodeId: string): MemberStatus | null {
  return groups[0]?.nodes.find((node) => node.nodeId === nodeId) ?? null;
}

function leaderReport(status: ClusterStatus) {
  const leader = status.groups[0]?.leader ?? null;
  return leader === null ? null : (memberOf(status, leader)?.report ?? null);
}

function roleCell(member: MemberStatus | null): Cell {
  const role = member?.report?.role;
  if (role === undefined) return cell('-', 'dim');
  return role === 'leader' ? cell('LEADER', 'bold') : cell(role);
}

function portOf(address: string): string {
  return address.slice(address.lastIndexOf(':') + 1);
}
