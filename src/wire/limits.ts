/**
 * Version of the frames between nodes and with clients, and of what entries of the log do: nodes that make other things of them must not
 * share one. Another version is refused at the handshake. 2: conditional writes. 3: watches, keys that expire, the cluster's
 * name in what a node says to clients. 4: transactions. 5: news of members, and watches whose answers say that there is more. 6: a checksum in
 * what nodes say first.
 */
export const protocolVersion = 6;

/** Most bytes of one frame between nodes. */
export const peerFrameBytesMax = 64 * 1024 * 1024;
/** Most bytes of one frame of heartbeats, or of the hello before them. */
export const heartbeatFrameBytesMax = 64 * 1024;
/** Most bytes of one frame from or to a client. */
export const clientFrameBytesMax = 16 * 1024 * 1024;
/** Most fragments, in WebSocket's words, that one frame may come in. */
export const fragmentsPerFrameMax = 16;
/** Most requests in one client frame. */
export const requestsPerFrameMax = 16_384;
/** Most messages in one peer frame. */
export const messagesPerFrameMax = 65_536;
/** Most entries in one peer message: more than fit into what may be undecided, which a log that lacks it gets as a whole. */
export const entriesPerMessageMax = 4_194_304;
/** Most cuts of a snapshot in one peer message. */
export const cutsPerMessageMax = 8_192;
/** Most nodes in a configuration. */
export const membersMax = 31;
/** Most configurations of the past that are kept beside the present one. */
export const pastConfigurationsMax = 15;
/** Most pairs in one answer to a listing. */
export const pairsPerAnswerMax = 10_000;
/** Most bytes of keys and values in one answer to a listing (one pair may exceed it). */
export const answerBytesMax = 4 * 1024 * 1024;
/** Most bytes of an address ("host:port"). */
export const addressBytesMax = 300;
/** Most bytes of the id of a data directory. */
export const storageIdBytesMax = 64;
/** Longest deadline of a request, milliseconds. */
export const timeoutMsMax = 3_600_000;
/** Most pairs in one answer of a backup. */
export const pairsPerBackupAnswerMax = 262_144;
/** Most bytes of the name of an open backup. */
export const backupNameBytesMax = 64;
/** Highest number of a ballot that is taken from another node: each election takes the next one, and there must be some left. */
export const ballotNumberMax = 2 ** 52;
/** Most bytes of a cluster's name, as UTF-8. */
export const clusterNameBytesMax = 800;
