/**
 * The part of a superblock slot that has no fixed size: docs/format/superblock.md, schema in
 * protocol/proto/mqraft/superblock.proto.
 *
 * What must survive is the identity, the vote, the starts, and of each peer its store and its latest
 * start: with 31 peers of the longest names this fits in a slot. What peers have promised is left out
 * when it does not fit beside: less is noticed then, and nothing wrong is believed.
 */
import { assert } from '../base/assert.ts';
import { LogIndex, NodeId, Term } from '../base/units.ts';
import { messageCodec } from '../protocol/schema.ts';
import { BOOT_ID_SIZE_BYTES, isBootId, type RememberedPeer } from './remembered-peer.ts';

export interface SuperblockBody {
  readonly clusterId: string;
  readonly groupId: string;
  readonly nodeId: NodeId;
  readonly storeUuid: string;
  readonly votedFor: NodeId | null;
  readonly bootIds: readonly string[];
  readonly peers: ReadonlyMap<NodeId, RememberedPeer>;
}

interface WirePeer {
  readonly nodeId: string;
  readonly storeUuid: Uint8Array;
  readonly storeName: string;
  readonly bootCount: number;
  readonly bootId: Uint8Array;
  readonly refusedBootId: Uint8Array;
  readonly term: number;
  readonly lastTerm: number;
  readonly lastIndex: number;
  readonly committedTerm: number;
  readonly committedIndex: number;
}

interface WireBody {
  readonly clusterId: string;
  readonly groupId: string;
  readonly nodeId: string;
  readonly storeUuid: string;
  readonly votedFor: string;
  readonly bootIds: Uint8Array;
  readonly peers: readonly Partial<WirePeer>[];
}

const codec = messageCodec<WireBody>('mqraft.SuperblockBody');
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

export function encodeSuperblockBody(body: SuperblockBody, sizeBytesMax: number): Uint8Array {
  const whole = encode(body, true);
  const bytes = whole.length <= sizeBytesMax ? whole : encode(body, false);
  assert(bytes.length <= sizeBytesMax, 'a superblock fits in its slot', () => ({
    sizeBytes: bytes.length,
  }));
  return bytes;
}

/** @param bytes of a slot whose CRC is right: that they are no body would be a bug of ours */
export function decodeSuperblockBody(bytes: Uint8Array): SuperblockBody {
  const wire = codec.decode(bytes);
  const bootIds = Object.hasOwn(wire, 'bootIds') ? hexOf(wire.bootIds) : '';
  return {
    clusterId: wire.clusterId,
    groupId: wire.groupId,
    nodeId: NodeId(wire.nodeId),
    storeUuid: wire.storeUuid,
    votedFor: wire.votedFor === '' ? null : NodeId(wire.votedFor),
    bootIds: bootIds.match(/.{16}/g) ?? [],
    peers: new Map(wire.peers.map((peer) => [NodeId(peer.nodeId ?? ''), readPeer(peer)])),
  };
}

function encode(body: SuperblockBody, withPromises: boolean): Uint8Array {
  const { clusterId, groupId, nodeId, storeUuid, votedFor, bootIds, peers } = body;
  return codec.encode({
    ...{ clusterId, groupId, nodeId, storeUuid },
    votedFor: votedFor ?? '',
    bootIds: bytesOf(bootIds.map(checkedBootId).join('')),
    peers: [...peers].map(([id, peer]) => wirePeer(id, peer, withPromises)),
  });
}

function wirePeer(nodeId: NodeId, peer: RememberedPeer, withPromise: boolean): Partial<WirePeer> {
  const { storeUuid, bootCount, bootId, refusedBootId, promise } = peer;
  const { term, last, committed } = promise;
  return {
    nodeId,
    ...(UUID.test(storeUuid)
      ? { storeUuid: bytesOf(storeUuid.replaceAll('-', '')) }
      : { storeName: storeUuid }),
    ...{ bootCount, bootId: bytesOf(checkedBootId(bootId)) },
    ...(refusedBootId !== null && { refusedBootId: bytesOf(checkedBootId(refusedBootId)) }),
    ...(withPromise && {
      term,
      ...{ lastTerm: last.term, lastIndex: last.index },
      ...{ committedTerm: committed.term, committedIndex: committed.index },
    }),
  };
}

function readPeer(wire: Partial<WirePeer>): RememberedPeer {
  const has = (field: keyof WirePeer) => Object.hasOwn(wire, field);
  const number = (field: 'term' | 'lastTerm' | 'lastIndex' | 'committedTerm' | 'committedIndex') =>
    wire[field] ?? 0;
  return {
    storeUuid: has('storeUuid') ? uuidOf(wire.storeUuid!) : (wire.storeName ?? ''),
    bootCount: wire.bootCount ?? 0,
    bootId: has('bootId') ? hexOf(wire.bootId!) : '',
    refusedBootId: has('refusedBootId') ? hexOf(wire.refusedBootId!) : null,
    promise: {
      term: Term(number('term')),
      last: { term: Term(number('lastTerm')), index: LogIndex(number('lastIndex')) },
      committed: { term: Term(number('committedTerm')), index: LogIndex(number('committedIndex')) },
    },
  };
}

function checkedBootId(bootId: string): string {
  assert(isBootId(bootId), `a boot id is ${BOOT_ID_SIZE_BYTES} bytes in hex`, () => ({ bootId }));
  return bootId;
}

function uuidOf(bytes: Uint8Array): string {
  return hexOf(bytes).replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

function bytesOf(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex, 'hex'));
}
