/**
 * What `npm publish` would ship: everything that package.json promises, and nothing else.
 */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { beforeAll, expect, test } from "@jest/globals";
import { packageVersion } from "../../src/runs/files.ts";

const root = new URL("../../", import.meta.url);
const manifest = JSON.parse(readFileSync(new URL("package.json", root), "utf8"));

let packed: { size: number; unpackedSize: number; files: { path: string }[] };
let files: string[];
beforeAll(() => {
  const output = execFileSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], {
    cwd: root,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  });
  packed = JSON.parse(output)[0];
  files = packed.files.map(({ path }) => path);
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

test("nothing else: bundled JavaScript, types, licences, WASM, a study's outcome, and the documents", () => {
  const allowed = [
    /^dist\/(chunk-[A-Z0-9]+|index|formats\/index|runs\/report|table\/table|cli\/main|backends\/wasm\/worker)\.js$/,
    /^dist\/.+\.d\.ts$/,
    /^dist\/THIRD-PARTY-LICENSES\.txt$/,
    /^dist\/wasm\/local-entropy\.(relaxed|threads|simd)\.wasm$/,
    /^bench\/results\/estimator-error\.json$/,
    /^(package\.json|README\.md|CHANGELOG\.md|LICENSE|native\/sources\.txt)$/,
  ];
  expect(files.filter((path) => !allowed.some((pattern) => pattern.test(path)))).toEqual([]);
  expect(files).toContain("README.md");
  expect(files).toContain("LICENSE");
});

/** The text of a file of the package. */
const textOf = (path: string) => readFileSync(new URL(path, root), "utf8");
const scripts = () => files.filter((path) => path.endsWith(".js"));

test("each declaration has a source, each chunk a user: nothing stale is shipped", () => {
  const source = (path: string) => path.replace(/^dist\//, "src/").replace(/\.d\.ts$/, ".ts");
  const declared = files.filter((path) => path.endsWith(".d.ts"));
  expect(declared.length).toBeGreaterThan(10);
  expect(declared.filter((path) => !existsSync(new URL(source(path), root)))).toEqual([]);
  const used = scripts().flatMap((path) => textOf(path).match(/chunk-[A-Z0-9]+\.js/g) ?? []);
  const chunks = scripts().filter((path) => path.startsWith("dist/chunk-"));
  expect(chunks.length).toBeGreaterThan(5);
  expect(chunks.filter((path) => !used.includes(path.replace("dist/", "")))).toEqual([]);
});

test("nothing is installed with it", () => {
  const { dependencies = {}, peerDependencies = {}, bundleDependencies = [] } = manifest;
  expect([dependencies, peerDependencies, bundleDependencies]).toEqual([{}, {}, []]);
});

test("the licence of every package of which a part is in there stands beside it", () => {
  // esbuild says above each part which file it is of.
  const parts = scripts().flatMap((path) => [...textOf(path).matchAll(/^\/\/ (node_modules\/\S+)$/gm)]);
  const packages = new Set(parts.map(([, file]) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0]));
  expect(packages.size).toBeGreaterThan(20);
  const licences = textOf("dist/THIRD-PARTY-LICENSES.txt");
  for (const folder of packages) {
    const { name, version, license } = JSON.parse(textOf(`${folder}/package.json`));
    const section = licences.split(`\n\n${name} ${version} (${license})\n\n`)[1];
    expect(section?.slice(0, 1500)).toMatch(/Copyright|Permission|LICENSE-2\.0|Apache License/i);
  }
  expect(files).toContain("dist/THIRD-PARTY-LICENSES.txt");
});

test("a class is the same wherever it is imported from", async () => {
  const entry = (name: string) => import(new URL(`dist/${name}.js`, root).href);
  const index = await entry("index");
  const formats = await entry("formats/index");
  const report = await entry("runs/report");
  const refused = await report.writeReport("nowhere").catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(index.CheckpointError);
  expect(
    formats.fromJson(formats.toJson(new index.Model({ network: [2, 2], parameters: new Float32Array(6) }))),
  ).toBeInstanceOf(index.Model);
});

test("the main package is small", () => {
  expect(packed.size).toBeLessThan(1e6);
  expect(packed.unpackedSize).toBeLessThan(3e6);
});

test("installing compiles nothing and runs nothing", () => {
  // npm compiles a package that has binding.gyp at its root unless the manifest says otherwise.
  expect(files).not.toContain("binding.gyp");
  expect(manifest.gypfile).toBe(false);
  const hooks = ["preinstall", "install", "postinstall", "prepublish"]; // "prepare" is run for a git dependency alone
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
