/** A commit log that opens what it should not. */
import type { Disk } from '../../../src/io/disk.ts';
import type { CommitLog } from '../../../src/store/commit-log.ts';
import { type OpenLogOptions, openCommitLog as open } from '../../../src/store/open-commit-log.ts';
import { type StoreRules, standardStoreRules } from '../../../src/store/store-rules.ts';

export * from '../../../src/store/open-commit-log.ts';

export function openCommitLog(disk: Disk, options: OpenLogOptions): Promise<CommitLog> {
  const canary = process.env['MQ_RAFT_CANARY'];
  const { mintUuid, identity } = options;
  const isNamed = canary === 'wiped-voter-votes';
  return open(disk, {
    ...options,
    mintUuid: isNamed ? () => `store-of-${identity.nodeId}` : mintUuid,
    rules: rulesFor(canary),
  });
}

function rulesFor(canary: string | undefined): StoreRules {
  switch (canary) {
    case 'checksum-ignored':
      return { ...standardStoreRules, forgives: (problem) => problem === 'badPayloadCrc' };
    case 'rot-as-torn':
      return {
        ...standardStoreRules,
        decideRecovery: ({ stop, remains }) =>
          stop === null
            ? { kind: 'intact' }
            : { kind: 'cut', ranges: remains?.ranges ?? [], tornBytes: 1 },
      };
    default:
      return standardStoreRules;
  }
}
