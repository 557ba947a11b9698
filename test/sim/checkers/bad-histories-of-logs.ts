/** What I1 to I10 and N1 to N9 forbid, done. */
import { LogIndex, Term } from '../../../src/base/units.ts';
import { type BadHistory, config, heartbeatReply, ROUND, replicated, T1 } from './bad-history.ts';
import { entriesOf, entryOf, sendTo, snapshotOf } from './hand-made.ts';

export const LOG_HISTORIES: readonly BadHistory[] = [
  {
    id: 'I1',
    name: 'two nodes lead in one term',
    tell: (history, a) => history.lead(a!, 1),
    badMove: (history, _a, b) => history.lead(b!, 1),
  },
  {
    id: 'I2',
    name: 'a leader cuts its log',
    tell: (history, a) => history.lead(a!, 1, T1),
    badMove: (history, a) => history.write(a!, { truncateFrom: 3, entries: entriesOf(3, 1) }),
  },
  {
    id: 'I3',
    name: 'equal ids, another entry before',
    tell: (history, a) => history.write(a!, { entries: entriesOf(1, 1, 2) }),
    badMove: (history, _a, b) => history.write(b!, { entries: entriesOf(1, 2, 2) }),
  },
  {
    id: 'I3',
    name: 'equal ids, another membership',
    tell: (history, a, b, c) => {
      history.write(a!, config(1, 1, [a!.id, b!.id, c!.id]));
    },
    badMove: (history, a, b) => history.write(b!, config(1, 1, [a!.id, b!.id])),
  },
  {
    id: 'I4',
    name: 'two nodes commit different entries',
    tell: (history, a, b) => {
      history.lead(a!, 1, T1);
      history.write(b!, { entries: entriesOf(1, 1, 2) });
      history.commit(a!, 2);
      history.commit(b!, 1);
    },
    badMove: (history, _a, b) => history.commit(b!, 2),
  },
  {
    id: 'I4',
    name: 'a snapshot of what nobody committed',
    tell: (history) => replicated(history),
    badMove: (history, a, b) => {
      history.write(b!, { snapshot: snapshotOf(5, 1, a!.status.membership) });
    },
  },
  {
    id: 'I5',
    name: 'a leader lacks what an earlier term committed',
    tell: (history, a) => {
      history.lead(a!, 1, T1);
      history.commit(a!, 2);
    },
    badMove: (history, _a, b) => history.lead(b!, 2),
  },
  {
    id: 'I6',
    name: 'a majority without what is committed',
    tell: (history) => replicated(history),
    badMove: (history, _a, b, c) => {
      for (const node of [b!, c!]) {
        node.disk.image.entries = [];
        history.board.cut(node.asTold, T1);
      }
    },
  },
  {
    id: 'I6',
    name: 'one wiped voter is no danger, a second one with an empty log is',
    tell: (history, _a, b) => {
      replicated(history);
      b!.disk.image.entries = [];
      history.board.wiped(b!.asTold);
    },
    badMove: (history, a, _b, c) => {
      for (const node of [a!, c!]) {
        node.disk.image.entries = [];
        history.board.cut(node.asTold, T1);
      }
    },
  },
  {
    id: 'I7',
    name: 'committed on one disk of three',
    tell: (history, a) => history.lead(a!, 1, T1),
    badMove: (history, a) => history.commit(a!, 1),
  },
  {
    id: 'I7',
    name: 'committed on a learner and one voter',
    nodeCount: 4,
    tell: (history, a, b, c, d) => {
      const change = { learners: [d!.id] };
      history.lead(a!, 1);
      history.write(a!, config(1, 1, [a!.id, b!.id, c!.id], change));
      d!.disk.image.entries = [entryOf(1, 1, 'config')];
    },
    badMove: (history, a) => history.commit(a!, 1),
  },
  {
    id: 'I7',
    name: 'committed in the new set of a joint change only',
    nodeCount: 5,
    tell: (history, a, b, c, d, e) => {
      const old = { outgoing: [a, b, c, d, e].map((node) => node!.id) };
      history.lead(a!, 1);
      history.write(a!, config(1, 1, [a!.id, b!.id, c!.id], old));
      b!.disk.image.entries = [entryOf(1, 1, 'config')];
    },
    badMove: (history, a) => history.commit(a!, 1),
  },
  {
    id: 'I7',
    name: 'what a voter acknowledged before it was wiped counts, what it says afterwards does not',
    tell: (history, a, b) => {
      const accepted = { kind: 'appendAccepted', term: Term(1) } as const;
      history.lead(a!, 1, T1);
      b!.disk.image.entries = T1;
      history.board.released(b!.asTold, a!.id, { ...accepted, matchIndex: LogIndex(2) });
      b!.disk.image.entries = [];
      history.board.wiped(b!.asTold);
      history.commit(a!, 2);
      history.board.released(b!.asTold, a!.id, { ...accepted, matchIndex: LogIndex(3) });
    },
    badMove: (history, a) => history.commit(a!, 3),
  },
  {
    id: 'I7',
    name: 'a disk loses a committed entry that it has acknowledged',
    tell: (history, a, b) => {
      replicated(history);
      const { index: matchIndex, term } = T1[2]!;
      history.board.released(b!.asTold, a!.id, { kind: 'appendAccepted', term, matchIndex });
    },
    badMove: (history, _a, b) => {
      b!.disk.image.entries = T1.slice(0, 2);
      history.board.cut(b!.asTold, T1.slice(2));
    },
  },
  {
    id: 'I8',
    name: 'an acknowledged value is not in the log of a later leader',
    tell: (history, a) => {
      replicated(history);
      const { index, term, payloadCrc } = T1[2]!;
      history.board.acknowledged(a!.asTold, { tag: 1, value: payloadCrc, index, term });
    },
    badMove: (history, _a, b) => {
      history.write(b!, { truncateFrom: 3 });
      history.lead(b!, 2);
    },
  },
  {
    id: 'I9',
    name: 'two nodes apply different entries',
    tell: (history, a) => history.board.applied(a!.asTold, T1[0]!),
    badMove: (history, _a, b) => history.board.applied(b!.asTold, entriesOf(1, 2)[0]!),
  },
  {
    id: 'I9',
    name: 'an index is applied twice',
    tell: (history, a) => history.board.applied(a!.asTold, T1[0]!),
    badMove: (history, a) => history.board.applied(a!.asTold, T1[0]!),
  },
  {
    id: 'I9',
    name: 'a snapshot has another digest than what was applied',
    tell: (history, a) => history.board.applied(a!.asTold, T1[0]!),
    badMove: (history, a, b) => {
      const snapshot = snapshotOf(1, 1, a!.status.membership);
      history.board.snapshotInstalled(b!.asTold, snapshot, 4711);
    },
  },
  {
    id: 'I10',
    name: 'a log of a newer term lacks what an older term committed',
    tell: (history) => {
      replicated(history);
      history.step(history.nodes[2]!, { term: Term(2) });
    },
    badMove: (history, _a, _b, c) => {
      history.write(c!, { truncateFrom: 3, entries: entriesOf(3, 2) });
    },
  },
  {
    id: 'N1',
    name: 'two votes in one term, with a restart between',
    tell: (history, a, b) => {
      const reply = { kind: 'voteReply', term: Term(3), granted: true } as const;
      history.board.released(a!.asTold, b!.id, reply);
      history.start(a!, { hardState: { term: Term(3), votedFor: null } });
    },
    badMove: (history, a, _b, c) => {
      const reply = { kind: 'voteReply', term: Term(3), granted: true } as const;
      history.board.released(a!.asTold, c!.id, reply);
    },
  },
  {
    id: 'N1',
    name: 'a restart in an older term',
    tell: (history, a, b) => {
      const reply = { kind: 'voteReply', term: Term(3), granted: true } as const;
      history.board.released(a!.asTold, b!.id, reply);
    },
    badMove: (history, a) => history.start(a!, { hardState: { term: Term(2), votedFor: null } }),
  },
  {
    id: 'N2',
    name: 'the commit index falls',
    tell: (history) => replicated(history),
    badMove: (history, a) => history.step(a!, { commitIndex: LogIndex(2) }),
  },
  {
    id: 'N2',
    name: 'something is applied that is not on disk',
    tell: (history, a) => {
      history.lead(a!, 1, T1.slice(0, 1));
      history.write(a!, { entries: T1.slice(1), isDurable: false });
      history.step(a!, { commitIndex: LogIndex(3) });
      history.board.applied(a!.asTold, T1[0]!);
    },
    badMove: (history, a) => history.board.applied(a!.asTold, T1[1]!),
  },
  {
    id: 'N2',
    name: 'entries are forgotten that derived state does not have',
    badMove: (history, a) => history.board.compacted(a!.asTold, LogIndex(1)),
  },
  {
    id: 'N3',
    name: 'a cut without a conflict',
    tell: (history, a) => history.write(a!, { entries: T1 }),
    badMove: (history, a) => history.write(a!, { truncateFrom: 3, entries: entriesOf(3, 1) }),
  },
  {
    id: 'N3',
    name: 'a snapshot over a log that has committed more',
    tell: (history) => replicated(history),
    badMove: (history, a) => {
      history.write(a!, { snapshot: snapshotOf(2, 1, a!.status.membership) });
    },
  },
  {
    id: 'N4',
    name: 'a hole in the log that a restart finds',
    badMove: (history, a) => history.start(a!, { entries: [T1[0]!, T1[2]!] }),
  },
  {
    id: 'N4',
    name: 'falling terms',
    badMove: (history, a) => history.write(a!, { entries: entriesOf(1, 2, 1) }),
  },
  {
    id: 'N4',
    name: 'a config entry without a membership',
    badMove: (history, a) => history.write(a!, { entries: [entryOf(1, 1, 'config')] }),
  },
  {
    id: 'N4',
    name: 'a core that knows another log than it told',
    tell: (history, a) => history.write(a!, { entries: T1 }),
    badMove: (history, a) => {
      a!.log[1] = entriesOf(2, 7)[0]!;
      history.board.ended();
    },
  },
  {
    id: 'N5',
    name: 'an acknowledgement before the disk',
    tell: (history, a) => {
      history.write(a!, { entries: T1, isDurable: false });
    },
    badMove: (history, a, b) => {
      const message = { kind: 'appendAccepted', term: Term(0), matchIndex: LogIndex(3) } as const;
      history.board.released(a!.asTold, b!.id, message);
    },
  },
  {
    id: 'N5',
    name: 'a vote before the disk',
    badMove: (history, a, b) => {
      const message = { kind: 'voteReply', term: Term(2), granted: true } as const;
      history.board.released(a!.asTold, b!.id, message);
    },
  },
  {
    id: 'N7',
    name: 'a message of a term that its sender has not entered',
    badMove: (history, a, b) => {
      history.step(a!, {}, [sendTo(b!, { kind: 'heartbeat', ...ROUND })]);
    },
  },
  {
    id: 'N7',
    name: 'an old message changes the log',
    tell: (history, a) => {
      history.write(a!, { entries: T1 }, { term: Term(2) });
    },
    badMove: (history, a, b) => {
      const lastIndex = LogIndex(4);
      history.receive(a!, b!, { kind: 'heartbeat', ...ROUND }, { lastIndex });
    },
  },
  {
    id: 'N7',
    name: 'a candidate is answered and its term ignored',
    badMove: (history, a, b) => {
      const last = { term: Term(0), index: LogIndex(0) };
      const request = { kind: 'voteRequest', term: Term(5), last, isTransfer: false } as const;
      const refusal = { kind: 'voteReply', term: Term(0), granted: false } as const;
      history.receive(a!, b!, request, {}, [sendTo(b!, refusal)]);
    },
  },
  {
    id: 'N8',
    name: 'a wiped node is listened to',
    tell: (history, a, b) => {
      const early = heartbeatReply(1);
      history.board.released(b!.asTold, a!.id, early);
      history.board.wiped(b!.asTold);
      history.receive(a!, b!, early);
    },
    badMove: (history, a, b) => {
      const late = heartbeatReply(2);
      history.board.released(b!.asTold, a!.id, late);
      history.receive(a!, b!, late);
    },
  },
  {
    id: 'N9',
    name: 'a learner asks for votes',
    tell: (history, a, b, c) => {
      history.write(a!, config(1, 1, [b!.id, c!.id], { learners: [a!.id] }));
      history.step(a!, { commitIndex: LogIndex(1) });
    },
    badMove: (history, a, b) => {
      const last = { term: Term(0), index: LogIndex(0) };
      const message = { kind: 'voteRequest', term: Term(0), last, isTransfer: false } as const;
      history.step(a!, {}, [sendTo(b!, message)]);
    },
  },
  {
    id: 'N9',
    name: 'a node with a stalled disk grants a pre-vote',
    tell: (history, a) => history.step(a!, {}, [], { kind: 'diskHealth', isStalled: true }),
    badMove: (history, a, b) => {
      const last = { term: Term(0), index: LogIndex(0) };
      const reply = { kind: 'preVoteReply', term: Term(1), granted: true, last } as const;
      history.step(a!, {}, [sendTo(b!, { ...reply, hasTornTail: false })]);
    },
  },
];
