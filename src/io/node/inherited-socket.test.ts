import { equal, throws } from 'node:assert/strict';
import { test } from 'node:test';
import { FatalError } from '../../base/errors.ts';
import { inheritedFd } from './inherited-socket.ts';

const PID = 42;
const to = (variables: Record<string, string>) => ({ LISTEN_PID: '42', ...variables });

test('a single socket needs no name, and of several it is the one of clients', () => {
  equal(inheritedFd(to({ LISTEN_FDS: '1' }), PID), 3);
  equal(inheritedFd(to({ LISTEN_FDS: '1', LISTEN_FDNAMES: 'mq-raft.socket' }), PID), 3);
  equal(inheritedFd(to({ LISTEN_FDS: '3', LISTEN_FDNAMES: 'a:b:grpc' }), PID), 5);
});

test('what was handed to another process, or to nobody, is not taken', () => {
  equal(inheritedFd({}, PID), null);
  equal(inheritedFd({ LISTEN_FDS: '1' }, PID), null);
  equal(inheritedFd({ LISTEN_FDS: '1', LISTEN_PID: '41' }, PID), null);
  equal(inheritedFd(to({ LISTEN_FDS: '0' }), PID), null);
  equal(inheritedFd(to({ LISTEN_FDS: 'many' }), PID), null);
});

test('of several without that name none is guessed', () => {
  throws(() => inheritedFd(to({ LISTEN_FDS: '2', LISTEN_FDNAMES: 'a:b' }), PID), FatalError);
  throws(() => inheritedFd(to({ LISTEN_FDS: '2', LISTEN_FDNAMES: 'a:b:grpc' }), PID), FatalError);
});
