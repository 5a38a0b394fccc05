import type { ByteReader } from '../base/bytes.ts';
import type { Configuration } from '../cluster/configuration.ts';
import type { Ballot } from '../omnipaxos/ballot.ts';
import { sealRecord } from './sealed-record.ts';

/*
 * The records that stand beside the segments of the log, each sealed with a checksum.
 */

/** What every flush writes. */
export interface LogHead {
  readonly trimmedIndex: number;
  readonly endIndex: number;
  readonly decidedIndex: number;
  readonly promise: Ballot;
  readonly acceptedRound: Ballot;
}

export function encodeHead(head: LogHead): Uint8Array {
  return sealRecord((writer) => {
    writer.varuint(head.trimmedIndex).varuint(head.endIndex).varuint(head.decidedIndex);
    for (const { n, priority, pid } of [head.promise, head.acceptedRound])
      writer.varuint(n).varuint(priority).varuint(pid);
  });
}

export function decodeHead(reader: ByteReader): LogHead {
  return {
    trimmedIndex: reader.varuint(),
    endIndex: reader.varuint(),
    decidedIndex: reader.varuint(),
    promise: decodeBallot(reader),
    acceptedRound: decodeBallot(reader),
  };
}

function decodeBallot(reader: ByteReader): Ballot {
  return { n: reader.varuint(), priority: reader.varuint(), pid: reader.varuint() };
}

/** The configuration as JSON text: it is written rarely, and may get fields. */
export function encodeConfiguration(configuration: Configuration): Uint8Array {
  return sealRecord((writer) => writer.text(JSON.stringify(configuration)));
}

export function decodeConfiguration(reader: ByteReader): Configuration {
  // The checksum has said that this is what encodeConfiguration wrote.
  return JSON.parse(reader.text()) as Configuration;
}

export function encodeText(text: string): Uint8Array {
  return sealRecord((writer) => writer.text(text));
}

export function encodeNumber(number: number): Uint8Array {
  return sealRecord((writer) => writer.varuint(number));
}
