/**
 * Numbers of the enums in proto/apache/rocketmq/v2 that the endpoint speaks. Enums are decoded as
 * numbers, so unknown values of newer clients pass through unharmed.
 */

export const MESSAGE_TYPE = {
  unspecified: 0,
  normal: 1,
  fifo: 2,
  delay: 3,
  transaction: 4,
  lite: 5,
  priority: 6,
} as const;

export const PERMISSION = { none: 1, read: 2, write: 3, readWrite: 4 } as const;
export const ADDRESS_SCHEME = { ipv4: 1, ipv6: 2, domainName: 3 } as const;
export const FILTER_TYPE = { unspecified: 0, tag: 1, sql: 2 } as const;
export const DIGEST_TYPE = { unspecified: 0, crc32: 1, md5: 2, sha1: 3 } as const;
export const ENCODING = { unspecified: 0, identity: 1, gzip: 2 } as const;
export const LANGUAGE = { python: 6, nodeJs: 8 } as const;
