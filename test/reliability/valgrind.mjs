/**
 * Every operation and estimator of the addon in Node under valgrind: no read of memory that nobody wrote, none outside of
 * what was allocated, none lost. Faults are the addon's where its frame is the first outside of the C and C++ libraries;
 * Node and V8 have some of their own.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { conclude, ended } from "./support/programs.mjs";

const ADDON = "local_entropy.node";
const LIBRARIES = /vgpreload|\/libc[.-]|\/libstdc\+\+|\/libm[.-]|\/libgcc|\/ld-/;

/** Texts of a tag's elements, which do not nest. */
const all = (xml, tag) =>
  [...xml.matchAll(new RegExp(`<${tag}>([\\s\\S]*?)</${tag}>`, "g"))].map(([, text]) => text);

/** What one error is, and where the addon does it; null where it is not the addon's. */
function ofAddon(error) {
  const frames = all(all(error, "stack")[0] ?? "", "frame");
  const first = frames.find((frame) => !LIBRARIES.test(all(frame, "obj")[0] ?? ""));
  if (!first?.includes(ADDON)) return null;
  return `${all(error, "what")[0] ?? all(error, "text")[0]} in ${all(first, "fn")[0] ?? all(first, "ip")[0]}`;
}

if (!(await ended("valgrind", ["--version"])).good) {
  conclude(false, "skipped: no valgrind");
} else {
  const folder = mkdtempSync(join(tmpdir(), "local-entropy-"));
  const report = join(folder, "report.xml");
  const program = fileURLToPath(new URL("support/everything.mjs", import.meta.url));
  const flags = [
    "--xml=yes",
    `--xml-file=${report}`,
    "--num-callers=25",
    "--error-limit=no",
    "--leak-check=full",
  ];
  const { end, good, output } = await ended("valgrind", [...flags, process.execPath, "--jitless", program]);
  const errors = all(readFileSync(report, "utf8"), "error");
  rmSync(folder, { recursive: true });
  const found = errors.map(ofAddon).filter((error) => error !== null);
  if (!good) console.log(output);
  for (const error of found) console.log(error);
  conclude(
    !good || found.length > 0,
    `every operation under valgrind on Node ${process.versions.node}: ${good ? "" : `${end}, `}` +
      `${found.length} faults of the addon, ${errors.length - found.length} of Node's own`,
  );
}
