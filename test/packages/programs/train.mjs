import * as fs from "node:fs";
import * as entropy from "local-entropy";
import * as report from "local-entropy/report";
import { trainSaveReport } from "./ten-updates.mjs";

await trainSaveReport(entropy, report, fs);
