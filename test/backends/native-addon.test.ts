/**
 * Loading the addon: the instruction set that was forced is the one that runs, failures are explained, and the
 * library leaves the process alone.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { loadAddonFrom, platformName } from "../../src/backends/addon/load.ts";
import { nativeStatus, openNative } from "../../src/backends/addon/native.ts";
import { BackendError } from "../../src/errors.ts";
import { describeNative } from "../support/jobs.ts";

const BUILT = fileURLToPath(new URL("../../build/Release/local_entropy.node", import.meta.url));

describeNative("instruction sets", () => {
  test.each(nativeStatus().instructionSets.map((name) => [name]))("%s runs where it is forced", (name) => {
    const backend = openNative({ threads: 1, instructionSet: name });
    expect(backend.instructionSet).toBe(name);
    backend.close();
  });

  test("the best one is the default", () => {
    const backend = openNative({ threads: 1, instructionSet: "" });
    expect(backend.instructionSet).toBe(nativeStatus().instructionSets[0]);
    backend.close();
  });

  test("an unknown name is an error that lists the valid ones", () => {
    const list = nativeStatus().instructionSets.join(", ");
    const open = () => openNative({ threads: 1, instructionSet: "mmx" });
    expect(open).toThrow(BackendError);
    expect(open).toThrow(`Expected one of ${list} for the instruction set but received "mmx"`);
  });
});

describe("an addon that does not load", () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "local-entropy-"));
  });
  afterEach(() => rmSync(root, { recursive: true }));

  test("no build: both places are named, and how to build", () => {
    const { addon, attempts, reason } = loadAddonFrom(root);
    expect(addon).toBeNull();
    expect(attempts.map(({ path }) => path)).toEqual([
      join(root, "build", "Release", "local_entropy.node"),
      `@local-entropy/${platformName()}`,
    ]);
    expect(attempts[0].reason).toBe("no such file");
    expect(attempts[1].reason).toMatch(/^Cannot find (module|package)/);
    expect(reason).toMatch(/Possible solutions:\n.*npm run build.*C\+\+17 compiler and CMake/);
  });

  test("a build for another platform: says so", () => {
    mkdirSync(join(root, "build", "Release"), { recursive: true });
    writeFileSync(join(root, "build", "Release", "local_entropy.node"), "this is no library".repeat(100));
    const { addon, attempts, reason } = loadAddonFrom(root);
    expect(addon).toBeNull();
    expect(attempts[0].reason).not.toBe("no such file");
    expect(reason).toMatch(/Possible solutions:\n.*built for another platform/);
  });
});

const works = (command: string) => spawnSync(command, ["--version"]).status === 0;
// Where it can be built it must have been: then a missing file is a failure, and nothing else would notice.
const buildable = works("cmake") && ["c++", "g++", "clang++"].some(works);

describe("symbols of the addon", () => {
  (works("nm") && buildable ? test : test.skip)("it asks for no exit, abort or stdio", () => {
    const { status, stdout, stderr } = spawnSync("nm", ["-D", "--undefined-only", BUILT], {
      encoding: "utf8",
    });
    // A missing file fails here: nothing was checked then.
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    const names = stdout.split("\n").map((line) => line.trim().split(/\s+/).at(-1)?.split("@")[0] ?? "");
    expect(names).toContain("napi_create_threadsafe_function");
    const forbidden =
      /^(_?exit|_Exit|quick_exit|abort|raise|v?f?printf|__v?f?printf_chk|puts|fputs|putchar|fwrite|stdout|stderr|perror|_ZSt4(cout|cerr|clog)|__assert_fail)$/;
    expect(names.filter((name) => forbidden.test(name))).toEqual([]);
  });
});
