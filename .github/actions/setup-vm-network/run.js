"use strict";

const { spawnSync } = require("node:child_process");
const path = require("node:path");

// The binary, which both steps call, and the journal of what this action changes: a
// machine of one's own may have remedies of its administrator in the usual one.
exports.binary = path.join(process.env.RUNNER_TEMP, "nestlab-setup-vm-network");
exports.journal = "--journal=/var/lib/nestlab/setup-vm-network.json";

// run runs a program without a shell, and ends this one as that one ends.
exports.run = (program, args, environment = {}) => {
  const { error, status } = spawnSync(program, args, {
    stdio: "inherit",
    env: { ...process.env, ...environment },
  });
  if (error) console.log(`::error::run ${program}: ${error.message}; is it installed on this runner?`);
  if (status !== 0) process.exit(status ?? 1);
};
