import type { ByteReader, ByteWriter } from '../../base/bytes.ts';
import type { Ballot } from '../../omnipaxos/ballot.ts';

/** What every flush writes beside entries. */
export interface LogHead {
  readonly trimmedIndex: number;
  readonly endIndex: number;
  readonly decidedIndex: number;
  readonly promise: Ballot;
  readonly acceptedRound: Ballot;
}

export function encodeHead(writer: ByteWriter, head: LogHead): void {
  writer.varuint(head.trimmedIndex).varuint(head.endIndex).varuint(head.decidedIndex);
  for (const { n, priority, pid } of [head.promise, head.acceptedRound]) {
    writer.varuint(n).varuint(priority).varuint(pid);
  }
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
