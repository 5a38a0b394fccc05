import { describe, expect, it } from 'vitest';
import { parseTransaction, type WrittenTransaction } from '../../src/cli/arguments/transaction.ts';

const written = (more: Partial<WrittenTransaction>): WrittenTransaction => ({
  ...{ if: [], put: [], delete: [], document: undefined },
  ...more,
});
const texts = (value: unknown): unknown =>
  JSON.parse(
    JSON.stringify(value, (_name, part) =>
      part?.type === 'Buffer' ? Buffer.from(part.data).toString('latin1') : part,
    ),
  );

describe('a transaction', () => {
  it('by flags: a put is split at the first "=", a condition at the last', () => {
    const parsed = parseTransaction(written({ if: ['a=b=7', 'c=0'], put: ['k==v=', 'l='], delete: ['m=n'] }));
    expect(texts(parsed)).toEqual({
      if: [
        { key: 'a=b', revision: 7 },
        { key: 'c', revision: 0 },
      ],
      do: [{ put: 'k', value: '=v=' }, { put: 'l', value: '' }, { delete: 'm=n' }],
    });
  });

  it('by a document, with any bytes, beside flags', () => {
    const document = JSON.stringify({
      if: [{ keyBase64: '/w==', revision: 3 }],
      do: [
        { put: 'é', valueBase64: 'AP8=' },
        { putBase64: 'AA==', value: '' },
        { delete: 'x' },
        { deleteBase64: '/w==' },
      ],
    });
    expect(texts(parseTransaction(written({ if: ['c=1'], put: ['p=q'], document })))).toEqual({
      if: [
        { key: 'c', revision: 1 },
        { key: '\xff', revision: 3 },
      ],
      do: [
        { put: 'p', value: 'q' },
        { put: 'é', value: '\0\xff' },
        { put: '\0', value: '' },
        { delete: 'x' },
        { delete: '\xff' },
      ],
    });
  });

  it.each([
    [{ put: ['k'] }, '--put is "k": give KEY=VALUE'],
    [{ if: ['k'] }, '--if is "k": give KEY=REVISION'],
    [{ if: ['k='] }, 'the revision in --if k= is "": give a whole number'],
    [{ if: ['k=-1'] }, 'the revision in --if k=-1 is "-1": give a whole number'],
    [{ document: '' }, 'the document is no JSON: '],
    [{ document: '[]' }, 'the document is no object: give {"if"'],
    [{ document: '{"do":{}}' }, '"do" of the document is no list: give {"if"'],
    [{ document: '{"then":[]}' }, 'the document has "then": there are "if", "do"'],
    [{ document: '{"do":[{"put":"k"}]}' }, 'do[0] needs one of "value" and "valueBase64", a text'],
    [{ document: '{"do":[{"put":"k","value":7}]}' }, 'do[0] needs one of "value" and "valueBase64", a text'],
    [
      { document: '{"do":[{"put":"k","putBase64":"aw==","value":""}]}' },
      'do[0] needs one of "put" and "putBase64", a text',
    ],
    [{ document: '{"do":[{"put":"k","valueBase64":"x y"}]}' }, 'do[0].valueBase64 is not valid base64'],
    [{ document: '{"do":[{"delete":"k","value":"v"}]}' }, 'do[0] deletes, and more: give each change by itself'],
    [{ document: '{"do":[{"set":"k"}]}' }, 'do[0] has "set": there are "put"'],
    [{ document: '{"if":[{"key":"k"}]}' }, 'if[0] has no number as its "revision"'],
    [{ document: '{"if":[7]}' }, 'if[0] is no object'],
  ])('%j is refused', (more, message) => {
    expect(() => parseTransaction(written(more))).toThrow(message);
  });
});
