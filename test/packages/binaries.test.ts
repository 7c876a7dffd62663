/**
 * Checks of release binaries (scripts/release): each finds what it is there for, and what was compiled here passes.
 */
import { existsSync, readFileSync } from "node:fs";
import { describe, expect, test } from "@jest/globals";
// @ts-expect-error: a script, without types
import { checkBinary, newest } from "../../scripts/release/check.mjs";
// @ts-expect-error: a script, without types
import { checkAssembly } from "../../scripts/release/check-assembly.mjs";
// @ts-expect-error: a script, without types
import { binaryOf, EXPORTS } from "../../scripts/release/compile.mjs";
// @ts-expect-error: a script, without types
import { readBinary } from "../../scripts/release/read-binary.mjs";
import { PLATFORMS } from "../../src/backends/addon/platforms.ts";

const X64 = PLATFORMS["linux-x64"];
const DARWIN = PLATFORMS["darwin-arm64"];
/** One function with one line, as the compiler writes it. */
const body = (line: string, name = "_ZN13local_entropy3runEv") =>
  `${name}:\n\t.cfi_startproc\n\t${line}\n\tretq\n`;

describe("assembly of our own code", () => {
  test.each([
    ["callq\tabort@PLT", X64, "abort"],
    ["jmp\texit@PLT                        # TAILCALL", X64, "exit"],
    ["movq\tstderr@GOTPCREL(%rip), %rax", X64, "stderr"],
    ["callq\t*__imp_abort(%rip)", PLATFORMS["win32-x64"], "abort"],
    ["bl\t_printf", DARWIN, "printf"],
    ["bl\tfwrite", PLATFORMS["linux-arm64"], "fwrite"],
    ["leaq\t_ZNSt3__14cerrE(%rip), %rdi", X64, "_ZNSt3__14cerrE"],
  ])("%s is found", (line, platform, name) => {
    expect(checkAssembly(body(line), platform)).toEqual([`_ZN13local_entropy3runEv refers to ${name}`]);
  });

  test.each([
    "vaddps\t%xmm1, %xmm0, %xmm0",
    "mulxq\t%rax, %rcx, %rdx",
    "andnl\t%eax, %ecx, %edx",
    "kmovw\t%eax, %k1",
  ])("%s is beyond the baseline, and not in a function that is chosen by the processor", (line) => {
    const [mnemonic] = line.split("\t");
    const fault = `_ZN13local_entropy3runEv has ${mnemonic}, which the baseline does not`;
    expect(checkAssembly(body(line), X64)).toEqual([fault]);
    const chosen = "_ZN13local_entropy4avx23runEv";
    expect(checkAssembly(body(line, chosen), X64)).toEqual([]);
    // What follows such a function is looked at again; a label within one ends nothing.
    expect(checkAssembly(`${body(line, chosen)}.LBB0_2:\n\t${line}\n${body(line)}`, X64)).toEqual([fault]);
  });

  test("what may be there is let be", () => {
    const lines = [
      "callq\t_Znwm@PLT",
      "mulps\t%xmm1, %xmm0",
      "leaq\tabort_count(%rip), %rax",
      "andps\t%xmm0, %xmm1",
    ];
    for (const line of lines) expect(checkAssembly(body(line), X64)).toEqual([]);
    expect(checkAssembly(body("bl\t_abort_all"), DARWIN)).toEqual([]);
  });
});

describe("what a binary says of itself", () => {
  const good = {
    needs: ["libc.so.6", "libm.so.6"],
    versions: ["GLIBC_2.2.5", "GLIBC_2.17", "GLIBC_2.9"],
    exports: [...EXPORTS],
    minimum: null,
    signature: null,
  };
  const mac = {
    ...good,
    needs: ["/usr/lib/libSystem.B.dylib"],
    versions: [],
    minimum: "11.0",
    signature: { adHoc: true, good: true },
  };

  test("one that is as it should be has no fault", () => {
    expect(checkBinary(good, X64)).toEqual([]);
    expect(checkBinary(mac, DARWIN)).toEqual([]);
    expect(newest(good.versions, "GLIBC")).toBe("2.17");
    expect(newest([...good.versions, "GLIBCXX_3.4.9", "GLIBCXX_3.4.30"], "GLIBCXX")).toBe("3.4.30");
    expect(newest([], "GLIBC")).toBe("");
  });

  test.each([
    [{ needs: ["libstdc++.so.6"] }, X64, "libstdc++.so.6"],
    [{ versions: ["GLIBC_2.29"] }, X64, "2.29"],
    [{ versions: ["GLIBCXX_3.4.30"] }, X64, "GLIBCXX_3.4.30"],
    [{ needs: ["libc.so.6"], versions: [] }, PLATFORMS["linux-x64-musl"], "libc.so.6"],
    [{ exports: [...EXPORTS, "_Znwm"] }, X64, "_Znwm"],
    [{ exports: [EXPORTS[0]] }, X64, "exports"],
  ])("%j is a fault", (changed, platform, part) => {
    const faults = checkBinary({ ...good, ...changed }, platform);
    expect(faults).toHaveLength(1);
    expect(faults[0]).toContain(part);
  });

  test.each([
    [{ minimum: "13.0" }, "13.0"],
    [{ signature: null }, "signature"],
    [{ signature: { adHoc: true, good: false } }, "signature"],
    [{ needs: ["/usr/lib/libc++.1.dylib"] }, "libc++"],
  ])("on macOS %j is one", (changed, part) => {
    const faults = checkBinary({ ...mac, ...changed }, DARWIN);
    expect(faults).toHaveLength(1);
    expect(faults[0]).toContain(part);
  });
});

// `npm run pack:all` compiles them, and checks each in any case.
describe("binaries that were compiled here", () => {
  for (const [name, platform] of Object.entries(PLATFORMS)) {
    const binary = binaryOf(name);
    (existsSync(binary) ? test : test.skip)(name, () => {
      expect(checkBinary(readBinary(readFileSync(binary)), platform)).toEqual([]);
    });
  }
});
