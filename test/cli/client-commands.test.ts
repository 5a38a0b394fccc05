import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
// @ts-expect-error: no types for it
import { clientCommands } from '../../bin/client-commands.js';

/** They ask a cluster, too, but take long in any case, or load what the others have no need of. */
const others = ['backup:save', 'bench', 'member:list', 'member:rebuild'];

it('each command that only asks a cluster is in the small bundle, or named here', () => {
  const folder = join(import.meta.dirname, '../../commands');
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
  const asking = files.filter((file) => /extends ClientCommand\b/.test(readFileSync(join(folder, file), 'utf8')));
  const ids = asking.map((file) => file.slice(0, -'.ts'.length).replaceAll(/[/\\]/g, ':'));
  expect(ids.sort()).toEqual([...clientCommands, ...others].sort());
});
