/**
 * Installing as a user does, the quick part: what is packed is installed by npm into an empty project without a network,
 * trains there, and trains in a bundle that is copied away. `npm run test:packages` has the other clients, Nodes,
 * compilers and bundlers.
 */
import { spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { build } from "esbuild";
import { nativeStatus } from "../../src/backends/addon/native.ts";
import { platformName } from "../../src/backends/addon/platform.ts";
import { patience } from "../support/patience.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const native = nativeStatus().available;

const work = mkdtempSync(join(tmpdir(), "local-entropy-quick-"));
const project = join(work, "project");
afterAll(() => rmSync(work, { recursive: true }));

function run(cwd: string, command: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(command, args, {
    cwd,
    encoding: "utf8",
    shell: process.platform === "win32", // npm is a command file there
    timeout: patience(60_000),
  });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}: status ${status}\n${stdout}\n${stderr}`);
  return stdout;
}

/** Packs a folder; the archive's path. */
function pack(folder: string): string {
  const [{ filename }] = JSON.parse(
    run(work, "npm", "pack", folder, "--json", "--ignore-scripts", "--pack-destination", work),
  );
  return join(work, filename);
}

/** The package for this platform, with the addon that was built here. */
function platformPackage(): string {
  const folder = join(work, "platform");
  mkdirSync(folder);
  const manifest = { name: `@local-entropy/${platformName()}`, version, main: "local_entropy.node" };
  writeFileSync(join(folder, "package.json"), JSON.stringify(manifest));
  cpSync(join(root, "build", "Release", manifest.main), join(folder, manifest.main));
  return folder;
}

const told = (text: string) => JSON.parse(text.trim().split("\n").at(-1)!);
const trained = (name: string) =>
  expect.objectContaining({ name, updates: 10, same: true, version, report: "</html>" });

describe("what is packed", () => {
  beforeAll(() => {
    cpSync(join(root, "test", "packages", "programs"), project, { recursive: true });
    writeFileSync(
      join(project, "package.json"),
      '{ "name": "an-application", "version": "9.9.9", "type": "module" }',
    );
    const archives = [pack(root), ...(native ? [pack(platformPackage())] : [])];
    run(project, "npm", "install", "--offline", "--no-audit", "--no-fund", ...archives);
  });

  test("is all that is installed", () => {
    const names = readdirSync(join(project, "node_modules")).filter((name) => !name.startsWith("."));
    expect(names.sort()).toEqual([...(native ? ["@local-entropy"] : []), "local-entropy"]);
    expect(existsSync(join(project, "node_modules", "local-entropy", "binding.gyp"))).toBe(false);
  });

  test("trains, saves, loads and reports", () => {
    expect(told(run(project, process.execPath, "train.mjs"))).toEqual(trained(native ? "native" : "wasm"));
  });

  test("makes a table what train takes, and keeps how", () => {
    expect(told(run(project, process.execPath, "table.mjs"))).toEqual({
      names: ["size", "name=a", "name=b"],
      testAccuracy: 1,
      inputs: 3,
      first: ["even"],
    });
  });

  test("reads tables in a page too: nothing of Node is bundled with it", async () => {
    const { warnings, outputFiles } = await build({
      stdin: { contents: 'export { table } from "local-entropy/table";', resolveDir: project },
      bundle: true,
      write: false,
      format: "esm",
      platform: "browser",
      logLevel: "silent",
    });
    expect(warnings).toEqual([]);
    expect(outputFiles[0].text).not.toMatch(/\brequire\(|from\s*"(?:node:|stream)/);
    writeFileSync(join(work, "page.mjs"), outputFiles[0].text);
    const script = `const { table } = await import("./page.mjs");
      console.log(JSON.stringify((await table("a,b\\n1,x\\n2,y\\n", { label: "b", test: 0 })).encoding.featureNames));`;
    expect(told(run(work, process.execPath, "--input-type=module", "-e", script))).toEqual(["a"]);
  });

  test.each(["esm", "cjs"] as const)("trains in a bundle (%s) that is copied away alone", async (format) => {
    const elsewhere = mkdtempSync(join(work, "elsewhere-"));
    const outfile = join(elsewhere, `server.${format === "esm" ? "mjs" : "cjs"}`);
    const entryPoints = [join(project, "server.mjs")];
    await build({ entryPoints, outfile, format, bundle: true, platform: "node", logLevel: "silent" });
    // An application's own package.json, whose version is not ours.
    writeFileSync(join(elsewhere, "package.json"), '{ "name": "an-application", "version": "9.9.9" }');
    expect(told(run(elsewhere, process.execPath, outfile))).toEqual(trained("wasm"));
  });
});
