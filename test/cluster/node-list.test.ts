import { describe, expect, test } from 'vitest';
import { InputError } from '../../src/cluster/input-error.ts';
import { parseNodeList } from '../../src/cluster/node-list.ts';

describe('parseNodeList', () => {
  test.each([
    ['1,2,4', [{ id: 1 }, { id: 2 }, { id: 4 }]],
    ['9', [{ id: 9 }]],
    ['4, 2 ,1', [{ id: 1 }, { id: 2 }, { id: 4 }]],
    ['1,2,4=10.0.0.4:7004', [{ id: 1 }, { id: 2 }, { id: 4, address: '10.0.0.4:7004' }]],
    ['4=[::1]:7004', [{ id: 4, address: '[::1]:7004' }]],
  ])('reads %s', (text, nodes) => {
    expect(parseNodeList(text, 31)).toEqual(nodes);
  });

  test.each([
    ['', 'the list of nodes is empty'],
    [' ', 'the list of nodes is empty'],
    ['1,,2', 'item 2 of the list "1,,2" is empty'],
    ['1,2,', 'item 3 of the list "1,2," is empty'],
    ['1,1', 'node 1 is named twice'],
    ['0', 'node id "0" is not one'],
    ['a', 'node id "a" is not one'],
    ['-1', 'node id "-1" is not one'],
    ['01', 'node id "01" is not one'],
    ['1.5', 'node id "1.5" is not one'],
    ['2147483648', 'node id "2147483648" is not one'],
    ['1 2', 'node id "1 2" is not one'],
    ['=10.0.0.4:7004', 'node id "" is not one'],
    ['4=10.0.0.4', 'the address of node 4, "10.0.0.4" has no port'],
    ['4=', 'the address of node 4, "" has no port'],
    ['4=h:1,5=H:1', 'nodes 4 and 5 have the same address h:1'],
    ['1,2,3,4,5,6', 'the list names 6 nodes: a cluster has at most 5'],
  ])('refuses %j in one line', (text, reason) => {
    const read = () => parseNodeList(text, 5);
    expect(read).toThrow(InputError);
    expect(read).toThrow(reason);
    expect(read).toThrow(/^[^\n]+$/);
  });
});
