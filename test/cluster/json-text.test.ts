import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type JsonValue, parseJsonText } from '../../src/cluster/json-text.ts';

function plain(value: JsonValue): unknown {
  if (value instanceof Map) return Object.fromEntries([...value].map(([name, part]) => [name, plain(part)]));
  return Array.isArray(value) ? value.map(plain) : value;
}

function outcome(read: () => unknown): { value?: unknown; failed: boolean } {
  try {
    return { value: read(), failed: false };
  } catch {
    return { failed: true };
  }
}

describe('parseJsonText', () => {
  test('reads what JSON.parse reads', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 6 }), fc.constantFrom(0, 2), (json, indent) => {
        // Through JSON.parse and back, so that no object has a name twice.
        const text = JSON.stringify(JSON.parse(json), undefined, indent);
        expect(plain(parseJsonText(text, 'f'))).toEqual(JSON.parse(text));
      }),
    );
  });

  test('reads or refuses the same damaged texts as JSON.parse', () => {
    const sample = '{"vw": [1, -2.5e3, "x\\u0041\\n", true, null], "xyz": {"c": ""}}';
    fc.assert(
      fc.property(
        fc.nat(sample.length - 1),
        fc.nat(2),
        fc.constantFrom(...'"{}[],:0-.eE\\ \tatn\u0001é'),
        (at, drop, put) => {
          const text = sample.slice(0, at) + put + sample.slice(at + drop);
          const ours = outcome(() => plain(parseJsonText(text, 'f')));
          const theirs = outcome(() => JSON.parse(text));
          expect(ours).toEqual(theirs);
        },
      ),
      { numRuns: 2000 },
    );
  });

  test.each([
    ['{"cluster": "a",\n  "nodes": x}', 'f is not valid JSON: line 2, column 12 at "x}": a value was expected'],
    ['{"a": 1,}', 'f is not valid JSON: line 1, column 9 at "}": a name in double quotes was expected'],
    ["{'a': 1}", 'line 1, column 2 at "\'a\': 1}": a name in double quotes was expected'],
    ['{"a": 1 "b": 2}', 'line 1, column 9 at ""b": 2}": "," or "}" was expected'],
    ['{"a": "b', 'column 7 at ""b": this string does not end'],
    ['{"a": 1', 'line 1, column 8, the end of the file: "," or "}" was expected'],
    ['', 'line 1, column 1, the end of the file: a value was expected'],
    ['{"a": 1, "a": 2}', 'column 10 at ""a": 2}": the name "a" is there twice'],
    ['{"a": 01}', 'a value was expected'],
    ['{} {}', 'nothing more was expected'],
    ['['.repeat(20), 'more than 16 levels of nesting'],
  ])('says where %j fails', (text, message) => {
    expect(() => parseJsonText(text, 'f')).toThrow(message);
  });
});
