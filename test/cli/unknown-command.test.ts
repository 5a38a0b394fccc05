import { expect, it } from 'vitest';
import { unknownCommand } from '../../src/cli/unknown-command.ts';

const ids = ['get', 'put', 'delete', 'list', 'start', 'status', 'backup:save', 'member:add', 'member:remove'];
const said = (words: string) => unknownCommand(words.split(' ').filter(Boolean), ids);

it('names what a misspelt command was probably meant to be', () => {
  expect(said('gte foo')).toBe('kv: "gte" is no command; did you mean kv get? kv help lists them');
  expect(said('hlep put')).toContain('did you mean kv help?');
  expect(said('membr add 4')).toBe('kv: "membr" is no command; did you mean kv member? kv help lists them');
  expect(said('member ad 4')).toBe(
    'kv: "member ad" is no command; did you mean kv member add? kv help member lists them',
  );
});

it('knows what other stores call it', () => {
  expect(said('set foo bar')).toContain('did you mean kv put?');
  expect(said('rm foo')).toContain('did you mean kv delete?');
});

it('guesses nothing where nothing is near', () => {
  expect(said('xylophone')).toBe('kv: "xylophone" is no command; kv help lists them');
  expect(said('constructor')).toBe('kv: "constructor" is no command; kv help lists them');
});

it('says where flags go', () => {
  expect(said('--endpoints h:1 get foo')).toBe(
    'kv: "--endpoints" is no command; flags go after the command: kv COMMAND --endpoints ...; kv help lists them',
  );
  expect(said('member --foo')).toBe('kv: "member --foo" is no command; kv help member lists them');
});

it('leaves alone what is a command, a folder of them, what needs none, or nothing', () => {
  for (const words of ['get foo', 'member add 4', 'member', 'member --help', '--help', '--version', '']) {
    expect(said(words)).toBeUndefined();
  }
});
