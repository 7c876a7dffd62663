/** Sets up onnxruntime-node for bench/predict.mjs in .peers/onnx, which git ignores: `node bench/peers/setup-onnx.mjs`. */
import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const VERSION = "1.30.0";
const folder = fileURLToPath(new URL("../../.peers/onnx", import.meta.url));

mkdirSync(folder, { recursive: true });
writeFileSync(join(folder, "package.json"), '{ "private": true }\n');
// Its install script would download GPU libraries; the processor's are in the package.
const { status } = spawnSync("npm", ["install", "--ignore-scripts", `onnxruntime-node@${VERSION}`], {
  cwd: folder,
  stdio: "inherit",
});
process.exitCode = status ?? 1;
