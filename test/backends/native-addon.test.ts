/**
 * The addon that was built here: the instruction set that was forced is the one that runs, each of them answers the known
 * question, and the library leaves the process alone. Those that do not load: `loading.test.ts`.
 */
import { spawnSync } from "node:child_process";
import { describe, expect, test } from "@jest/globals";
import { wrongAnswer } from "../../src/backends/addon/known-question.ts";
import { loadAddon } from "../../src/backends/addon/load.ts";
import { nativeStatus, openNative } from "../../src/backends/addon/native.ts";
import { BackendError } from "../../src/errors.ts";
import { BUILT } from "../support/installed.ts";
import { describeNative } from "../support/jobs.ts";

describeNative("instruction sets", () => {
  test("what was built here loads, and answers as it should", () => {
    expect(nativeStatus()).toEqual({ available: true, instructionSets: expect.any(Array), reason: "" });
  });

  test.each(nativeStatus().instructionSets.map((name) => [name]))("%s runs where it is forced", (name) => {
    const backend = openNative({ threads: 1, instructionSet: name });
    expect(backend.instructionSet).toBe(name);
    backend.close();
    expect(wrongAnswer(loadAddon("native").addon!, name)).toBe("");
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
