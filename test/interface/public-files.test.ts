/**
 * What `npm publish` would ship: everything that package.json promises, and nothing else.
 */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { beforeAll, expect, test } from "@jest/globals";
import { packageVersion } from "../../src/runs/files.ts";

const root = new URL("../../", import.meta.url);
const manifest = JSON.parse(readFileSync(new URL("package.json", root), "utf8"));

let files: string[];
beforeAll(() => {
  const output = execFileSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], {
    cwd: root,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  });
  files = JSON.parse(output)[0].files.map((file: { path: string }) => file.path);
});

/** Every path that the manifest points at. */
function promised(): string[] {
  const targets = Object.values(manifest.exports).flatMap((entry) =>
    typeof entry === "string" ? [entry] : Object.values(entry as Record<string, string>),
  );
  return [...targets, ...Object.values<string>(manifest.bin)].map((path) => path.replace(/^\.\//, ""));
}

test("every export and command is in the package", () => {
  expect(promised().length).toBeGreaterThan(4);
  expect(promised().filter((path) => !files.includes(path))).toEqual([]);
});

test("nothing else: compiled JavaScript with its types, WASM, the benchmarks, and the documents", () => {
  const allowed = [
    /^dist\/.+\.(js|d\.ts)$/,
    /^dist\/wasm\/local-entropy\.(relaxed|threads|simd)\.wasm$/,
    /^bench\/([a-z-]+\.bench|harness|problem|suite)\.mjs$|^bench\/results\/estimator-error\.json$/,
    /^(package\.json|README\.md|CHANGELOG\.md|LICENSE|native\/sources\.txt)$/,
  ];
  expect(files.filter((path) => !allowed.some((pattern) => pattern.test(path)))).toEqual([]);
  expect(files).toContain("README.md");
  expect(files).toContain("LICENSE");
});

test("each compiled file has a source: nothing stale is shipped", () => {
  const source = (path: string) => path.replace(/^dist\//, "src/").replace(/(\.d\.ts|\.js)$/, ".ts");
  const compiled = files.filter((path) => /^dist\/.+\.(js|d\.ts)$/.test(path));
  const stale = compiled.filter((path) => !existsSync(new URL(source(path), root)));
  expect(stale).toEqual([]);
});

test("installing compiles nothing and runs nothing", () => {
  // npm compiles a package that has binding.gyp at its root unless the manifest says otherwise.
  expect(files).not.toContain("binding.gyp");
  expect(manifest.gypfile).toBe(false);
  const hooks = ["preinstall", "install", "postinstall", "prepare", "prepublish"];
  expect(Object.keys(manifest.scripts).filter((name) => hooks.includes(name))).toEqual([]);
});

test("the addon's interface needs no newer Node than the manifest asks for", () => {
  expect(manifest.engines.node).toBe(">=20.19");
  expect(manifest.binary.napi_versions).toEqual([8]);
});

test("the constant that the package knows its version by is the manifest's", () => {
  expect(packageVersion()).toBe(manifest.version);
});

test("no dependency is pinned to a range or to an address", () => {
  const versions = Object.values({ ...manifest.dependencies, ...manifest.devDependencies });
  expect(versions.filter((version) => !/^\d+\.\d+\.\d+$/.test(version as string))).toEqual([]);
});
