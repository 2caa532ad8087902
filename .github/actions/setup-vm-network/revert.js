"use strict";

const fs = require("node:fs");
const { binary, journal, run } = require("./run.js");

// Where it could not be built nothing was changed.
if (fs.existsSync(binary)) run("sudo", [binary, "remedy", "revert", journal]);
