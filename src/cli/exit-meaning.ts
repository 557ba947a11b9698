/** What the end of a server process means, in words. */
import { EXIT_CODE } from '../base/errors.ts';

const MEANINGS: Readonly<Record<keyof typeof EXIT_CODE, string>> = {
  invariantBroken: 'a bug of mq-raft: an invariant did not hold',
  diskFailed: 'the disk refused a write or a sync',
  badConfiguration: 'the configuration is not valid',
  directoryLocked: 'another process uses its directory',
  logDamaged: 'the log is damaged in a way that recovery cannot explain',
  identityRefused: 'the directory belongs to another node, group or cluster',
  refusedByGroup: 'its group refuses it: wiped, an older image of its directory, or removed',
  removedFromGroup: 'it was removed from its group: the id is never used again',
  joinRefused: 'the group did not take it in: the token, the address or the directory is wrong',
  addressInUse: 'an address cannot be listened on',
  diskDistrusted: 'its disk failed three times within an hour; it stays down until you have looked',
};

export function exitCodeMeaning(code: number): string {
  if (code === 0) return 'it stopped by itself';
  for (const [reason, meaning] of Object.entries(MEANINGS)) {
    if (EXIT_CODE[reason as keyof typeof EXIT_CODE] === code) return meaning;
  }
  return 'an unexpected end';
}
