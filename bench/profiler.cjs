// Loaded into a node ahead of its program (`--require`): SIGUSR2 begins a CPU profile of the main thread, the next one writes it
// to the directory KV_PROFILE. Node's own --cpu-prof writes when a process ends by itself, and has the start in it.
const { mkdirSync, writeFileSync } = require('node:fs');
const { Session } = require('node:inspector');
const { join } = require('node:path');

const directory = process.env.KV_PROFILE;
let session;

process.on('SIGUSR2', () => {
  if (session === undefined) begin();
  else end();
});

function begin() {
  session = new Session();
  session.connect();
  session.post('Profiler.enable');
  session.post('Profiler.setSamplingInterval', { interval: 500 });
  session.post('Profiler.start');
}

function end() {
  session.post('Profiler.stop', (error, result) => {
    if (error) throw error;
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, `${process.pid}.cpuprofile`), JSON.stringify(result.profile));
  });
  session.disconnect();
  session = undefined;
}
