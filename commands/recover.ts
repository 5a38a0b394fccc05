import { existsSync, realpathSync } from 'node:fs';
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import type { Salvage, Survivors } from '../src/backup/survivors.ts';
import { aboveFlag } from '../src/cli/arguments/above-flag.ts';
import { BaseCommand } from '../src/cli/base-command.ts';
import { CommandError } from '../src/cli/exit-codes.ts';
import { printJson, printLine, printMessage } from '../src/cli/output.ts';
import { askLine, canAsk } from '../src/cli/prompt.ts';
import { countOf } from '../src/cli/report/numbers.ts';
import {
  describeEnough,
  describeSalvage,
  describeSurvivors,
  lackProblem,
  outsidersProblem,
  survivorsProblem,
} from '../src/cli/report/recovery-report.ts';
import { nextSteps, planFirstMember } from '../src/cli/start/next-steps.ts';
import { InputError } from '../src/cluster/input-error.ts';
import { parseNodeId } from '../src/cluster/node-list.ts';

export default class Recover extends BaseCommand {
  static override summary = 'Make a new cluster out of what is left of one that lost its majority.';
  static override description =
    'Give the data directories of all members that are left, former ones, too; their nodes must not run. Shows what each holds, says ' +
    'what is certain and what may be lost, asks, and makes a new data directory of the most that is there. The directories that were given stay ' +
    'as they are. The new cluster has an id of its own: members of the old one that come back later are refused.';
  static override examples = [
    '<%= config.bin %> recover kv-data/node-2 --out kv-recovered/node-2',
    '<%= config.bin %> recover /mnt/a/node-2 /mnt/b/node-5 --out /var/lib/kv --id 2',
  ];
  static override args = {
    directories: Args.string({ required: true, ignoreStdin: true, description: 'data directories that are left' }),
  };
  static override flags = {
    out: Flags.string({ required: true, helpValue: 'DIR', description: 'data directory to make' }),
    id: Flags.string({ helpValue: 'N', description: 'which node it is for; else the one with the most' }),
    above: aboveFlag,
    yes: Flags.boolean({ description: 'do not ask' }),
    force: Flags.boolean({
      description:
        'also where so many members are left that they can go on without any loss, none but nodes that stood by or were still joining, ' +
        'or none that has all that was decided',
    }),
    json: Flags.boolean({ description: 'write the result, or {"error": …}, to standard output as JSON' }),
  };
  // Several directories.
  static override strict = false;

  override async run(): Promise<void> {
    const { argv, flags } = await this.parse(Recover);
    const cluster = this.findCluster(flags);
    const { lacksDecided, planSalvage, readSurvivors } = await import('../src/backup/survivors.ts');
    const { isJoining } = await import('../src/backup/enough-left.ts');
    const { recoverInto } = await import('../src/backup/recover.ts');
    const given = [...new Set(argv.map((path) => resolve(String(path))))];
    const survivors = await readSurvivors(given);
    try {
      const { readings, lost } = survivors;
      for (const line of describeSurvivors(readings, lost, readings.filter(isJoining))) printMessage(line);
      const salvage = planSalvage(readings);
      const clusterId = salvage?.base.clusterId;
      if (salvage === undefined || clusterId === undefined) {
        const exit = lost.every(({ isMistaken }) => isMistaken) ? 'usage' : 'internal';
        throw new CommandError(exit, 'nothingLeft', 'none of the directories can be used, for the reasons above');
      }
      const isLacking = lacksDecided(salvage);
      const problem = survivorsProblem(readings) ?? (flags.force ? undefined : await riskOf(survivors, salvage));
      if (problem !== undefined) throw new CommandError('usage', 'badSurvivors', problem);
      const nodeId = flags.id === undefined ? salvage.base.identity.nodeId : parseNodeId(flags.id, '--id');
      const member = planFirstMember(nodeId, flags.out, cluster, process.cwd());
      refuseWithin(member.directory, given);
      for (const line of describeSalvage(salvage, isLacking)) printMessage(line);
      if (!flags.yes) await this.#confirm(salvage.base.identity.clusterName);
      const { origin, pairs, openReconfiguration } = await recoverInto(salvage, {
        ...member,
        clusterName: cluster.name,
        clusterId,
        above: flags.above,
      });
      if (flags.json) {
        const { certainIndex, endIndex } = salvage;
        const firstRevision = origin.index + 1;
        return await printJson({ ...member, keys: pairs, clusterId, certainIndex, endIndex, firstRevision });
      }
      await printLine(`recovered ${countOf(pairs, 'key')} of cluster ${clusterId} into ${member.directory}`);
      await printLine(`a new cluster begins with them; its first revision is ${origin.index + 1}`);
      if (openReconfiguration !== undefined) {
        const ids = openReconfiguration.join(', ');
        await printLine(
          `a change of members to ${ids} was under way: it has no effect, the cluster file names the members`,
        );
      }
      await printLine(
        'the directories that were given are as they were: set them aside, and never start a node on one again',
      );
      for (const line of nextSteps(member, cluster, process.cwd())) await printLine(line);
    } finally {
      await survivors.close();
    }
  }

  async #confirm(clusterName: string): Promise<void> {
    if (!canAsk()) throw new InputError('there is nobody to ask whether this is to be done: give --yes if it is');
    const check = (text: string) => {
      if (text !== clusterName) throw new InputError(`type ${clusterName} to go on, or Ctrl-C to leave`);
    };
    await askLine(`Type the name of the cluster (${clusterName}) to make a new one of what is left`, '', check);
  }
}

/** Why it is better not to make a new cluster of these, if it is. */
async function riskOf({ readings, unbound }: Survivors, salvage: Salvage): Promise<string | undefined> {
  const { lacksDecided, openChange } = await import('../src/backup/survivors.ts');
  const { enoughLeft, isJoining, mayHaveGoneOn } = await import('../src/backup/enough-left.ts');
  const left = [...readings, ...unbound];
  const enough = enoughLeft(left);
  if (enough) return describeEnough(enough, openChange(readings, enough.configuration));
  if (lacksDecided(salvage)) return lackProblem(salvage, readings);
  return mayHaveGoneOn(left) ? outsidersProblem(salvage, readings, readings.filter(isJoining)) : undefined;
}

/** What is given is to be set aside, with all that is in it. */
function refuseWithin(made: string, given: readonly string[]): void {
  const outer = given.find((directory) => isWithin(made, directory) || isWithin(realOf(made), realOf(directory)));
  if (outer === undefined) return;
  throw new InputError(
    `${made}, which is to be made, is within ${outer}, of which it is made: give another one as --out`,
  );
}

/** With no link in it, as far as it is there. */
function realOf(path: string): string {
  if (existsSync(path)) return realpathSync(path);
  return join(realOf(dirname(path)), basename(path));
}

function isWithin(path: string, directory: string): boolean {
  const way = relative(directory, path);
  return !isAbsolute(way) && way !== '..' && !way.startsWith(`..${sep}`);
}
