import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const runner = fileURLToPath(new URL('run.mjs', import.meta.url));
const missing = ['spin', 'cc'].filter((tool) => spawnSync(tool, ['-V']).error !== undefined);
const reason = missing.length > 0 ? ` (skipped: ${missing.join(', ')} not installed; see test/model/README.md)` : '';

describe('the formal model of Sequence Paxos', () => {
  it.skipIf(missing.length > 0)(
    `holds in small bounds, and planted mistakes are found${reason}`,
    () => {
      const { stdout, stderr, status } = spawnSync(process.execPath, [runner, '--quick'], { encoding: 'utf8' });
      expect({ failed: stdout.match(/^FAIL.*$/gm), stderr, status }).toEqual({ failed: null, stderr: '', status: 0 });
      expect(stdout.match(/holds$/gm)).toHaveLength(2);
      expect(stdout.match(/found: /g)).toHaveLength(2);
      expect(stdout.match(/reached$/gm)).toHaveLength(1);
    },
    300_000,
  );

  it('names the package to install if the checker is not there', () => {
    const { stderr, status } = spawnSync(process.execPath, [runner], { encoding: 'utf8', env: { PATH: '/nowhere' } });
    expect(status).toBe(1);
    expect(stderr).toBe('the model needs `spin`, which is not installed; on Debian: apt-get install spin\n');
  });

  it('refuses an option that it does not know', () => {
    const { stderr, status } = spawnSync(process.execPath, [runner, '--planned'], { encoding: 'utf8' });
    expect(status).toBe(1);
    expect(stderr).toBe('usage: npm run model [-- --quick | --sound | --planted]\n');
  });
});
