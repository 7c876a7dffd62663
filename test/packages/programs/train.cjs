const { trainSaveReport } = require("./ten-updates.mjs");

trainSaveReport(require("local-entropy"), require("local-entropy/report"), require("node:fs"));
