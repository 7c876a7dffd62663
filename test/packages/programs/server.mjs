// A server's entry, to be bundled as a module and as CommonJS: so nothing is awaited at the top.
import * as fs from "node:fs";
import * as entropy from "local-entropy";
import * as report from "local-entropy/report";
import { trainSaveReport } from "./ten-updates.mjs";

trainSaveReport(entropy, report, fs).catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
