/** What is published, as tools that know packages see it, and what an install of it weighs. */
import { lstatSync, mkdtempSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { run } from "./support/commands.mjs";
import { installedProject, newProject, npmInstall } from "./support/project.mjs";
import { fromTools, tool } from "./support/tools.mjs";

/** Bytes of the files in a folder. */
function weight(path) {
  const stat = lstatSync(path);
  if (!stat.isDirectory()) return stat.size;
  return readdirSync(path).reduce((sum, name) => sum + weight(join(path, name)), 0);
}

const publint = {
  name: "publint",
  async run(context, step) {
    const project = await installedProject(context);
    await step("the package", async () => {
      const { publint: lint } = await fromTools("publint");
      const pkgDir = join(project, "node_modules", "local-entropy");
      const { messages } = await lint({ pkgDir, pack: false, strict: true });
      if (messages.length > 0) throw new Error(JSON.stringify(messages));
      return "clean";
    });
  },
};

const types = {
  name: "attw",
  title: "are-the-types-wrong",
  async run({ packages, work, env }, step) {
    await step("profile esm-only", async () => {
      const { file } = packages.find(({ name }) => name === "local-entropy");
      const command = [process.execPath, tool("@arethetypeswrong", "cli", "dist", "index.js")];
      await run([...command, file, "--profile", "esm-only", "--no-emoji"], { cwd: work, env });
      return "clean";
    });
  },
};

const measures = {
  name: "weight",
  async run(context, step) {
    const project = newProject(context, "weight");
    await step("npm install, nothing cached", async () => {
      await npmInstall(
        context,
        project,
        "local-entropy",
        "--cache",
        mkdtempSync(join(context.work, "cache-")),
      );
      return "installed";
    });
    await step("npm ls --all", async () => {
      const tree = await run(["npm", "ls", "--all", "--parseable"], { cwd: project, env: context.env });
      const packages = tree.trim().split("\n").length - 1;
      if (packages > 6)
        throw new Error(`${packages} packages; at most five beside the platform's are allowed`);
      return `${packages} packages`;
    });
    await step("node_modules", async () => {
      const megabytes = weight(join(project, "node_modules")) / 1e6;
      if (megabytes >= 5) throw new Error(`${megabytes.toFixed(1)} MB; less than 5 are allowed`);
      return `${megabytes.toFixed(1)} MB`;
    });
  },
};

export default [publint, types, measures];
