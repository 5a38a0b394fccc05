/** `omnikv`: the client, and a node to embed. The consensus library by itself is `omnikv/omnipaxos`. */
export { KvClient } from './client/client.ts';
export { KvError, type KvErrorCode } from './client/errors.ts';
export { type NodeOptions, type RunningNode, startNode } from './server.ts';
