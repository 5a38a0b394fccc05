/** The commands that only ask a cluster, which is what most calls are: bin/build.mjs makes a small file of them, to be ready sooner. */
export const clientCommands = ['delete', 'get', 'keep', 'list', 'lock', 'put', 'renew', 'status', 'transact', 'watch'];
