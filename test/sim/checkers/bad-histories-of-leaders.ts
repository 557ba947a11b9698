/** What leaders, memberships and clients must not see happen, done. */
import { LogIndex, Term } from '../../../src/base/units.ts';
import type { Effect } from '../../../src/raft/effects.ts';
import {
  type BadHistory,
  config,
  confirmed,
  heartbeatReply,
  peerOf,
  ROUND,
  replicated,
  T1,
  ticks,
} from './bad-history.ts';
import { entriesOf, entryOf, LIMITS, membershipOf, sendTo, snapshotOf } from './hand-made.ts';

export const LEADER_HISTORIES: readonly BadHistory[] = [
  {
    id: 'L2',
    name: 'a leader commits up to an entry of an older term',
    tell: (history, a) => history.lead(a!, 2, entriesOf(1, 1, 1)),
    badMove: (history, a) => history.commit(a!, 2),
  },
  {
    id: 'L5',
    name: 'a message beyond the limit',
    badMove: (history, a, b) => {
      const entries = entriesOf(1, ...Array.from({ length: 20 }, () => 0));
      const prev = { term: Term(0), index: LogIndex(0) };
      const place = { term: Term(0), prev, commitIndex: LogIndex(0), memberships: [] };
      history.step(a!, {}, [sendTo(b!, { kind: 'appendRequest', entries, ...place })]);
    },
  },
  {
    id: 'L5',
    name: 'a window beyond the limit',
    tell: (history, a) => {
      history.lead(a!, 1, entriesOf(1, ...Array.from({ length: 40 }, () => 1)));
      history.commit(a!, 40);
    },
    badMove: (history, a, b) => {
      const peer = peerOf(b!, { nextIndex: LogIndex(41), state: 'replicating' });
      history.step(a!, { peers: [peer] }, [], { kind: 'propose', proposals: [] });
    },
  },
  {
    id: 'L5',
    name: 'more open proposals than there is room',
    tell: (history, a) => history.lead(a!, 1, entriesOf(1, ...Array.from({ length: 50 }, () => 1))),
    badMove: (history, a) => {
      const entries = entriesOf(51, ...Array.from({ length: 2 }, () => 1));
      const persist: Effect = {
        kind: 'persist',
        token: 1,
        hardState: null,
        snapshot: null,
        truncateFrom: null,
        entries,
        memberships: [],
        after: [],
      };
      const lastIndex = LogIndex(52);
      history.step(a!, { lastIndex }, [persist], { kind: 'propose', proposals: [] });
    },
  },
  {
    id: 'L6',
    name: 'the answer to an earlier round confirms a read',
    tell: (history, a, b) => {
      replicated(history);
      history.step(a!, {}, [sendTo(b!, { kind: 'heartbeat', ...ROUND })]);
      history.board.readAsked(a!.asTold, 1);
      history.step(a!, {}, [sendTo(b!, { kind: 'heartbeat', ...ROUND, round: 2 })]);
      history.receive(a!, b!, heartbeatReply(2), {}, [confirmed(1, 3)]);
      history.board.readAsked(a!.asTold, 2);
      history.step(a!, {}, [sendTo(b!, { kind: 'heartbeat', ...ROUND, round: 3 })]);
    },
    badMove: (history, a, b) => {
      history.receive(a!, b!, heartbeatReply(2), {}, [confirmed(2, 3)]);
    },
  },
  {
    id: 'L6',
    name: 'a new leader reads before it has committed in its term',
    tell: (history) => replicated(history),
    badMove: (history, a, b) => {
      history.lead(a!, 2);
      history.board.readAsked(a!.asTold, 1);
      history.step(a!, {}, [sendTo(b!, { kind: 'heartbeat', ...ROUND, term: Term(2) })]);
      const reply = { ...heartbeatReply(1), term: Term(2) };
      history.receive(a!, b!, reply, {}, [confirmed(1, 3)]);
    },
  },
  {
    id: 'L7',
    name: 'two changes are open',
    tell: (history, a, b, c) => {
      history.lead(a!, 1, T1);
      history.commit(a!, 3);
      history.write(a!, config(4, 1, [a!.id, b!.id, c!.id]));
    },
    badMove: (history, a, b, c) => history.write(a!, config(5, 1, [a!.id, b!.id, c!.id])),
  },
  {
    id: 'L7',
    name: 'a change before the term has committed anything',
    tell: (history, a) => history.lead(a!, 1),
    badMove: (history, a, b, c) => history.write(a!, config(1, 1, [a!.id, b!.id, c!.id])),
  },
  {
    id: 'L7',
    name: 'a joint phase is not left',
    tell: (history, a, b, c) => {
      history.lead(a!, 1, T1);
      history.commit(a!, 3);
      history.write(a!, config(4, 1, [a!.id], { outgoing: [a!.id, b!.id, c!.id] }));
    },
    badMove: (history, a) => history.commit(a!, 4),
  },
  {
    id: 'L8',
    name: 'a leader whose disk is stalled leads on',
    tell: (history, a) => history.lead(a!, 1),
    badMove: (history, a) => history.step(a!, {}, [], { kind: 'diskHealth', isStalled: true }),
  },
  {
    id: 'L8',
    name: 'a leader of whose majority nobody gets on with the log',
    tell: (history, a, b) => {
      history.lead(a!, 1, T1);
      history.step(a!, { peers: history.nodes.slice(1).map((node) => peerOf(node, {})) });
      ticks(history, a!, b!, LIMITS.progressTimeoutTicks);
    },
    badMove: (history, a, b) => ticks(history, a!, b!, 5),
  },
  {
    id: 'L8',
    name: 'a leader that nobody answers leads on',
    tell: (history, a, b) => {
      history.lead(a!, 1);
      ticks(history, a!, b!, 2 * LIMITS.electionTimeoutTicksMax);
    },
    badMove: (history, a) => {
      for (let i = 0; i < 2 * LIMITS.electionTimeoutTicksMax; i++) {
        history.step(a!, {}, [], { kind: 'tick' });
      }
    },
  },
  {
    id: 'L9',
    name: 'leadership goes to a node that is far behind',
    tell: (history, a) => history.lead(a!, 1, entriesOf(1, 1, 1, 1, 1, 1, 1, 1, 1)),
    badMove: (history, a, b) => {
      history.step(a!, { transferTo: b!.id, peers: [peerOf(b!, {})] });
    },
  },
  {
    id: 'L9',
    name: 'leadership goes to a node whose disk is stalled',
    tell: (history, a, b) => {
      history.lead(a!, 1);
      history.receive(a!, b!, heartbeatReply(1, true));
    },
    badMove: (history, a, b) => {
      history.step(a!, { transferTo: b!.id, peers: [peerOf(b!, {})] });
    },
  },
  {
    id: 'G1',
    name: 'a membership that was cut stays in force',
    tell: (history, a, b, c) => {
      history.write(a!, config(1, 1, [a!.id, b!.id, c!.id]));
    },
    badMove: (history, a) => {
      const { membership } = a!.status;
      history.write(a!, { truncateFrom: 1, entries: entriesOf(1, 2) }, { membership });
    },
  },
  {
    id: 'G1',
    name: 'a snapshot with another membership than was in force',
    tell: (history) => replicated(history),
    badMove: (history, _a, b) => {
      const membership = { index: LogIndex(2), membership: membershipOf([b!.id]) };
      history.start(b!, { base: snapshotOf(3, 1, membership) });
    },
  },
  {
    id: 'G2',
    name: 'the voters change without a joint phase',
    badMove: (history, a, b) => history.write(a!, config(1, 1, [a!.id, b!.id])),
  },
  {
    id: 'G2',
    name: 'a joint phase that leaves the old voters out',
    badMove: (history, a, b) => {
      history.write(a!, config(1, 1, [a!.id], { outgoing: [b!.id] }));
    },
  },
  {
    id: 'G3',
    name: 'a voter is a learner too',
    badMove: (history, a, b, c) => {
      history.write(a!, config(1, 1, [a!.id, b!.id, c!.id], { learners: [c!.id] }));
    },
  },
  {
    id: 'G3',
    name: 'nobody votes',
    badMove: (history, a, b, c) => {
      history.write(a!, config(1, 1, [], { outgoing: [a!.id, b!.id, c!.id] }));
    },
  },
  {
    id: 'G3',
    name: 'a removed node comes back',
    nodeCount: 4,
    tell: (history, a, b, c, d) => {
      const all = [a!.id, b!.id, c!.id, d!.id];
      const joint = { outgoing: all };
      history.write(a!, config(1, 1, [a!.id, b!.id, c!.id], joint));
      history.write(a!, config(2, 1, [a!.id, b!.id, c!.id], { removed: [d!.id] }));
    },
    badMove: (history, a, b, c, d) => {
      history.write(a!, config(3, 1, [a!.id, b!.id, c!.id], { learners: [d!.id] }));
    },
  },
  {
    id: 'G3',
    name: 'a node leaves and is not remembered',
    nodeCount: 4,
    tell: (history, a, b, c, d) => {
      const all = [a!.id, b!.id, c!.id, d!.id];
      history.write(a!, config(1, 1, [a!.id, b!.id, c!.id], { outgoing: all }));
    },
    badMove: (history, a, b, c) => history.write(a!, config(2, 1, [a!.id, b!.id, c!.id])),
  },
  {
    id: 'O1',
    name: 'a value is committed twice',
    tell: (history, a) => {
      history.lead(a!, 1, [entryOf(1, 1, 'data', 7), entryOf(2, 1, 'data', 7)]);
      history.commit(a!, 1);
    },
    badMove: (history, a) => history.commit(a!, 2),
  },
  {
    id: 'O2',
    name: 'a refused value is committed',
    tell: (history, a) => {
      history.lead(a!, 1, [entryOf(1, 1, 'data', 7)]);
      history.board.refused(a!.asTold, 7);
    },
    badMove: (history, a) => history.commit(a!, 1),
  },
  {
    id: 'O3',
    name: 'a read shows less than was acknowledged when it was asked',
    tell: (history, a, b) => {
      replicated(history);
      const { index, term, payloadCrc } = T1[2]!;
      history.board.readAsked(b!.asTold, 1);
      history.board.acknowledged(a!.asTold, { tag: 1, value: payloadCrc, index, term });
      history.board.readAnswered(b!.asTold, 1, LogIndex(2), 2);
      history.board.readAsked(b!.asTold, 2);
    },
    badMove: (history, _a, b) => history.board.readAnswered(b!.asTold, 2, LogIndex(2), 2),
  },
  {
    id: 'O3',
    name: 'a read shows less than an earlier read',
    tell: (history, a, b) => {
      replicated(history);
      history.board.readAsked(a!.asTold, 1);
      history.board.readAnswered(a!.asTold, 1, LogIndex(3), 3);
      history.board.readAsked(b!.asTold, 2);
    },
    badMove: (history, _a, b) => history.board.readAnswered(b!.asTold, 2, LogIndex(2), 2),
  },
  {
    id: 'E1',
    name: 'a candidate whom nobody has encouraged',
    tell: (history, a, b) => {
      const last = { term: Term(0), index: LogIndex(0) };
      const reply = { kind: 'preVoteReply', term: Term(1), granted: true, last } as const;
      history.board.released(b!.asTold, a!.id, { ...reply, hasTornTail: false });
      history.write(a!, { hardState: { term: 1, votedFor: a!.id } }, { term: Term(1) });
    },
    badMove: (history, a) => {
      history.write(a!, { hardState: { term: 2, votedFor: a!.id } }, { term: Term(2) });
    },
  },
];
