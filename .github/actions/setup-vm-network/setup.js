"use strict";

const path = require("node:path");
const { binary, journal, run } = require("./run.js");

const repository = path.resolve(__dirname, "../../..");
run("go", ["build", "-C", repository, "-o", binary, "./cmd/nestlab"], { CGO_ENABLED: "0" });
run("sudo", [
  "--preserve-env=GITHUB_OUTPUT,GITHUB_STEP_SUMMARY", binary, "doctor", "--actions", "--fix", "--prevent", journal,
  `--bridge=${process.env.INPUT_BRIDGE}`,
  `--fail-on=${process.env["INPUT_FAIL-ON"]}`,
]);
