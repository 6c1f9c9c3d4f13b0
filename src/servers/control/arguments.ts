/** The one list of command-line arguments that every server we start gets, so that the arms differ in nothing but the server. */

/**
 * No persistence: a fork or an fsync of one arm would be charged to whichever op it met. Protected mode off, because a
 * container's clients do not come from its own loopback; every server we start is published on loopback only.
 */
export const SERVER_ARGUMENTS: readonly string[] = ['--save', '', '--appendonly', 'no', '--protected-mode', 'no'];

/** What a node of a cluster gets besides. */
export const CLUSTER_ARGUMENTS: readonly string[] = ['--cluster-enabled', 'yes'];

/** A node listens to the others at its port plus this. */
export const BUS_PORT_OFFSET = 10_000;
