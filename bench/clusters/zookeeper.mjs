// Three ZooKeeper servers (Debian: zookeeper, and a Java runtime), as they come: forceSync is on by default.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { freePorts, startServer, waitUntil } from '../processes.mjs';
import { leaderFirst } from './omnikv.mjs';

const jars = '/usr/share/java';
const jar = join(jars, 'zookeeper.jar');

/** What is installed, or `undefined`. */
export function zookeeperVersion() {
  if (!existsSync(jar)) return undefined;
  try {
    execFileSync('java', ['-version'], { stdio: 'ignore' });
  } catch {
    return undefined;
  }
  const names = readdirSync(jars).map((name) => /^zookeeper-(\d[\d.]*)\.jar$/.exec(name)?.[1]);
  return names.find((version) => version !== undefined) ?? 'of unknown version';
}

export async function startZookeeper(directory) {
  const ports = await freePorts(9);
  const members = [0, 1, 2].map((at) => ({ id: at + 1, client: ports[at], peer: ports[at + 3], vote: ports[at + 6] }));
  const quorum = members.map(({ id, peer, vote }) => `server.${id}=127.0.0.1:${peer}:${vote}`);
  const servers = members.map(({ id, client }) => {
    const data = join(directory, `zookeeper-${id}`);
    mkdirSync(data);
    writeFileSync(join(data, 'myid'), `${id}\n`);
    const settings = [
      ...['tickTime=2000', 'initLimit=10', 'syncLimit=5', 'maxClientCnxns=0', 'admin.enableServer=false'],
      ...['4lw.commands.whitelist=srvr', `dataDir=${data}`, 'clientPortAddress=127.0.0.1', `clientPort=${client}`],
    ];
    writeFileSync(join(data, 'zoo.cfg'), [...settings, ...quorum, ''].join('\n'));
    const main = 'org.apache.zookeeper.server.quorum.QuorumPeerMain';
    return startServer(`zookeeper-${id}`, directory, 'java', [
      ...['-Xms1g', '-Xmx1g', '-Dzookeeper.jmx.log4j.disable=true', '-cp', jar],
      ...[main, join(data, 'zoo.cfg')],
    ]);
  });
  const leader = await waitUntil('a ZooKeeper server leads', servers, async () => {
    const modes = await Promise.all(members.map(({ client }) => modeOf(client)));
    const at = modes.indexOf('leader');
    return modes.every((mode) => mode === 'leader' || mode === 'follower') && at >= 0 ? { at } : undefined;
  });
  const endpoints = members.map(({ client }) => `127.0.0.1:${client}`);
  return { system: 'zookeeper', servers, endpoints: leaderFirst(endpoints, leader.at) };
}

/** What the server says it is: leader, follower, or nothing yet. */
function modeOf(port) {
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = connect(port, '127.0.0.1', () => socket.write('srvr'));
    socket.setEncoding('utf8').on('data', (piece) => {
      text += piece;
    });
    socket.once('error', reject).once('close', () => resolve(/^Mode: (\w+)$/m.exec(text)?.[1]));
  });
}
