/**
 * The metrics page of one node: what the operator needs to see that promises hold and where time
 * goes. Labels have few values, always: no topic, no client. Read at each scrape; only the count of
 * leader changes is kept here, since nobody else keeps it.
 */
import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import { DEPARTURE_STATES, type Departure } from '../../protocol/admin-report.ts';
import { INSTALL_PHASES } from '../../protocol/verbs.ts';
import type { Role } from '../../raft/effects.ts';
import type { ReplicaStatus } from '../../replica/replica.ts';
import type { SnapshotMetrics } from '../../replica/snapshot/snapshot-status.ts';
import type { BrokerCounters } from '../counters.ts';
import type { EndpointCounts } from '../grpc/counters.ts';
import type { SoundnessReport } from '../services/node-report.ts';
import { ROOM_LEVELS, type RoomReport } from '../verbs.ts';
import { EVENT_LOOP_RESOLUTION_MS } from './limits.ts';
import { MetricsText, type Sample } from './metrics-text.ts';
import type { NodeView } from './node-view.ts';

export interface MessagingMetrics {
  readonly counts: EndpointCounts;
  clients(): { readonly clientCount: number; readonly streamCount: number };
  departure(): Departure;
}

export interface MetricsSources {
  readonly counters: BrokerCounters;
  /** The gRPC endpoint. */
  readonly messaging: MessagingMetrics;
  /** null when it is not known. */
  diskRoom(): RoomReport | null;
  /** null for a replica without snapshots. */
  snapshots(): SnapshotMetrics | null;
  soundness(): SoundnessReport;
  /** Of the process, in bytes. */
  memory(): { readonly rss: number; readonly heapUsed: number; readonly external: number };
  /** Version of the build, e.g. of package.json. */
  readonly version: string;
}

const ROLES: readonly Role[] = ['follower', 'preCandidate', 'candidate', 'leader'];
const NANOS_PER_SECOND = 1e9;

export class NodeMetrics {
  readonly #replica: NodeView;
  readonly #sources: MetricsSources;
  readonly #eventLoopDelay: IntervalHistogram;
  #lastLeader: string | null;
  #leaderChanges = 0;

  constructor(replica: NodeView, sources: MetricsSources) {
    this.#replica = replica;
    this.#sources = sources;
    this.#eventLoopDelay = monitorEventLoopDelay({ resolution: EVENT_LOOP_RESOLUTION_MS });
    this.#eventLoopDelay.enable();
    this.#lastLeader = replica.status().leader;
    replica.onRoleChange((status) => this.#noteLeader(status));
  }

  render(): string {
    const text = new MetricsText();
    const status = this.#replica.status();
    this.#writeRaft(text, status);
    this.#writeLog(text, status);
    this.#writeSnapshots(text, this.#sources.snapshots(), status);
    this.#writeDisk(text);
    this.#writeRoom(text, this.#sources.diskRoom());
    this.#writeSoundness(text, this.#sources.soundness());
    this.#writeMessages(text);
    this.#writeProcess(text, status);
    return text.toString();
  }

  close(): void {
    this.#eventLoopDelay.disable();
  }

  /** Losing a leader and finding the same again is no change. */
  #noteLeader({ leader }: ReplicaStatus): void {
    if (leader === null || leader === this.#lastLeader) return;
    if (this.#lastLeader !== null) this.#leaderChanges++;
    this.#lastLeader = leader;
  }

  #writeRaft(text: MetricsText, status: ReplicaStatus): void {
    const roles = ROLES.map((role) => ({ labels: { role }, value: status.role === role ? 1 : 0 }));
    text.gauge('mqraft_raft_term', 'Current term.', status.term);
    text.gauge('mqraft_raft_role', 'One for the role that this node has.', roles);
    text.gauge('mqraft_raft_has_leader', 'Whether a leader is known.', status.leader ? 1 : 0);
    text.gauge('mqraft_raft_last_index', 'Index of the last entry of the log.', status.lastIndex);
    text.gauge('mqraft_raft_durable_index', 'Last entry synced here.', status.durableIndex);
    text.gauge('mqraft_raft_commit_index', 'Last entry known as committed.', status.commitIndex);
    text.gauge('mqraft_raft_applied_index', 'Last entry applied here.', status.appliedIndex);
    text.counter(
      'mqraft_raft_leader_changes_total',
      'Leaders after the first.',
      this.#leaderChanges,
    );
    const connected = status.peers.filter((peer) => peer.connected).length;
    text.gauge('mqraft_raft_peers', 'Other nodes of the group.', status.peers.length);
    text.gauge('mqraft_raft_connected_peers', 'Other nodes with a connection.', connected);
    const lags: Sample[] = status.peers.flatMap(({ nodeId, lagBytes }) =>
      lagBytes === null ? [] : [{ labels: { peer: nodeId }, value: lagBytes }],
    );
    text.gauge('mqraft_raft_peer_lag_bytes', 'At the leader: log that a peer lacks.', lags);
  }

  #writeLog(text: MetricsText, { logStart, firstIndex, keptBytes }: ReplicaStatus): void {
    text.gauge('mqraft_log_start_index', 'First entry that the group keeps.', logStart.index);
    text.gauge('mqraft_log_first_index', 'First entry on the disk of this node.', firstIndex);
    text.gauge('mqraft_log_kept_bytes', 'From there to the end of the log.', keptBytes);
  }

  #writeSnapshots(
    text: MetricsText,
    metrics: SnapshotMetrics | null,
    { install }: ReplicaStatus,
  ): void {
    const phases = INSTALL_PHASES.map((phase) => ({
      labels: { phase },
      value: install?.phase === phase ? 1 : 0,
    }));
    text.gauge('mqraft_snapshot_install', 'One for what a snapshot for this node is at.', phases);
    const percent = install?.percent ?? 100;
    text.gauge('mqraft_snapshot_install_percent', 'Chunks of it that are here.', percent);
    if (metrics === null) return;
    text.gauge('mqraft_snapshot_index', 'Entry of the newest snapshot here.', metrics.newestIndex);
    text.gauge(
      'mqraft_snapshot_duration_seconds',
      'Time that the last one took to take.',
      metrics.takenMs / 1_000,
    );
    text.counter('mqraft_snapshots_taken_total', 'Taken by this node.', metrics.taken);
    text.counter('mqraft_snapshot_failures_total', 'Not taken, for now.', metrics.takeFailures);
    text.counter('mqraft_snapshots_installed_total', 'Of others, installed.', metrics.installed);
    text.gauge('mqraft_snapshots_sending', 'Nodes to which one is under way.', metrics.sending);
    const { sentSizeBytes, receivedSizeBytes } = metrics;
    text.counter('mqraft_snapshot_sent_bytes_total', 'Chunks given to others.', sentSizeBytes);
    text.counter('mqraft_snapshot_received_bytes_total', 'Chunks got.', receivedSizeBytes);
  }

  #writeDisk(text: MetricsText): void {
    const { diskStats } = this.#replica.log;
    text.histogram('mqraft_fsync_duration_seconds', 'Time of each sync of the log.', {
      buckets: diskStats.syncSecondsBuckets(),
      count: diskStats.syncCount,
      sum: diskStats.syncSecondsSum,
    });
    text.counter('mqraft_fsyncs_total', 'Syncs of the log.', diskStats.syncCount);
    text.counter('mqraft_written_bytes_total', 'Bytes written to the log.', diskStats.writtenBytes);
    text.gauge(
      'mqraft_oldest_pending_write_seconds',
      'Age of the oldest unfinished write.',
      diskStats.oldestPendingMs() / 1_000,
    );
  }

  #writeRoom(text: MetricsText, room: RoomReport | null): void {
    if (room !== null) {
      const { level, totalBytes, freeBytes, reserveBytes } = room;
      text.gauge('mqraft_disk_total_bytes', 'Size of the file system of the log.', totalBytes);
      text.gauge('mqraft_disk_free_bytes', 'Free on the file system of the log.', freeBytes);
      text.gauge(
        'mqraft_disk_reserve_bytes',
        'With less than this free a leader refuses messages.',
        reserveBytes,
      );
      const levels = ROOM_LEVELS.map((name) => ({
        labels: { level: name },
        value: level === name ? 1 : 0,
      }));
      text.gauge('mqraft_disk_room', 'One for how much room there is.', levels);
    }
    text.gauge(
      'mqraft_log_waits_for_room',
      'Whether a write waits for room for the next segment.',
      this.#replica.log.diskStats.waitsForRoom() ? 1 : 0,
    );
  }

  #writeSoundness(text: MetricsText, { scrub, checkpoints }: SoundnessReport): void {
    if (scrub !== null) {
      const finishedAtMs = scrub.lastFinishedAtMs ?? Number.NaN;
      text.counter('mqraft_scrub_bytes_total', 'Bytes of the log read again.', scrub.readBytes);
      text.counter('mqraft_scrub_passes_total', 'Times it was read to the end.', scrub.passCount);
      text.counter('mqraft_scrub_findings_total', 'Damaged places found.', scrub.findingCount);
      text.gauge('mqraft_scrub_pass_bytes', 'Of this pass: read so far.', scrub.passDoneBytes);
      text.gauge('mqraft_scrub_pass_total_bytes', 'Of this pass: in all.', scrub.passTotalBytes);
      text.gauge(
        'mqraft_scrub_last_finished_timestamp_seconds',
        'When the last pass ended; not a number before the first.',
        finishedAtMs / 1_000,
      );
      text.gauge(
        'mqraft_scrub_late',
        'Whether the rate is too low for this log and its period.',
        scrub.isLate ? 1 : 0,
      );
    }
    const { lastIndex, agreedIndex, divergence } = checkpoints;
    text.gauge('mqraft_checkpoint_last_index', 'Last one of the group.', lastIndex ?? 0);
    text.gauge('mqraft_checkpoint_agreed_index', 'Last one true of this node.', agreedIndex ?? 0);
    text.gauge(
      'mqraft_state_diverged',
      'Whether this node is not what its group says that it should be.',
      divergence === null ? 0 : 1,
    );
  }

  #writeMessages(text: MetricsText): void {
    const { counters, messaging } = this.#sources;
    const { syncCount } = this.#replica.log.diskStats;
    const perMessage = counters.sent === 0 ? Number.NaN : syncCount / counters.sent;
    text.counter(
      'mqraft_acknowledged_messages_total',
      'Messages stored and acknowledged by this node as leader.',
      counters.sent,
    );
    text.counter(
      'mqraft_duplicate_messages_total',
      'Sends of messages that were stored before; answered with the first outcome.',
      counters.sentDuplicates,
    );
    text.gauge(
      'mqraft_fsyncs_per_acknowledged_message',
      'Syncs of the log by messages stored, since the start.',
      perMessage,
    );
    const { received, redelivered, acknowledged, deadLettered, forwarded } = counters;
    text.counter('mqraft_received_messages_total', 'Deliveries to consumers.', received);
    text.counter('mqraft_redelivered_messages_total', 'Deliveries after the first.', redelivered);
    text.counter('mqraft_consumed_messages_total', 'Acknowledged deliveries.', acknowledged);
    text.counter('mqraft_dead_letters_total', 'Messages given up by a group.', deadLettered);
    text.counter('mqraft_expired_messages_total', 'Taken by retention.', counters.expired);
    text.counter(
      'mqraft_expired_in_flight_total',
      'Deliveries that ended because retention took the message.',
      counters.expiredInFlight,
    );
    text.counter('mqraft_forwarded_calls_total', 'Calls passed on to the leader.', forwarded);
    text.counter('mqraft_rejected_total', 'Calls that failed, by reason.', rejections(counters));
    const { clientCount, streamCount } = messaging.clients();
    text.gauge('mqraft_grpc_clients', 'Clients heard of lately.', clientCount);
    text.gauge('mqraft_grpc_telemetry_streams', 'Open telemetry streams.', streamCount);
    const { state: departure, userCount } = messaging.departure();
    text.gauge(
      'mqraft_grpc_departure',
      'How far the clients of a drained or stopping node are.',
      DEPARTURE_STATES.map((state) => ({ labels: { state }, value: state === departure ? 1 : 0 })),
    );
    text.gauge('mqraft_grpc_departure_users', 'Clients that use a node which leaves.', userCount);
    text.counter(
      'mqraft_grpc_rejected_total',
      'Requests of RocketMQ 5 clients not answered OK, by status code.',
      [...messaging.counts.rejectedByCode].map(([code, value]) => ({
        labels: { code: String(code) },
        value,
      })),
    );
    const { backgroundFailures, unexpectedErrors } = messaging.counts;
    text.counter('mqraft_grpc_lost_notices_total', 'Client notices lost.', backgroundFailures);
    text.counter('mqraft_grpc_unexpected_errors_total', 'Bugs met.', unexpectedErrors);
  }

  #writeProcess(text: MetricsText, status: ReplicaStatus): void {
    const { version } = this.#sources;
    const { clusterId, groupId, nodeId } = status;
    const { rss, heapUsed, external } = this.#sources.memory();
    text.gauge('mqraft_process_resident_memory_bytes', 'Resident memory.', rss);
    text.gauge('mqraft_process_heap_used_bytes', 'JavaScript heap in use.', heapUsed);
    text.gauge('mqraft_process_external_memory_bytes', 'Memory of buffers.', external);
    const delays = [0.5, 0.99].map((quantile) => ({
      labels: { quantile: String(quantile) },
      value: this.#eventLoopDelay.percentile(quantile * 100) / NANOS_PER_SECOND,
    }));
    text.gauge('mqraft_event_loop_delay_seconds', 'Since the last scrape.', delays);
    this.#eventLoopDelay.reset();
    const labels = { version, cluster: clusterId, group: groupId, node: nodeId };
    text.gauge('mqraft_build_info', 'Always 1.', [{ labels, value: 1 }]);
  }
}

function rejections({ rejected }: BrokerCounters): Sample[] {
  return Object.entries(rejected).map(([reason, value]) => ({ labels: { reason }, value }));
}
