/** The version of this build, told in banners, metrics and `mq-raft version`. */
export const VERSION = '0.1.0';
