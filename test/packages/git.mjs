/** A git dependency on this checkout: what was committed is built where it is fetched, without the native engine. */
import { join } from "node:path";
import { run } from "./support/commands.mjs";
import { checkTold, newProject, npmInstall, told } from "./support/project.mjs";
import { ROOT } from "./support/tools.mjs";

export default [
  {
    name: "git",
    async run(context, step) {
      const project = newProject(context, "git");
      await step("npm install git+file://…", async () => {
        await npmInstall({ ...context, seconds: 1200 }, project, `git+file://${join(ROOT, "")}`);
        return "built";
      });
      await step("ten updates on WASM", async () => {
        const answer = await told([process.execPath, "train.mjs"], { cwd: project, env: context.env });
        return checkTold(answer, { backend: "wasm", version: context.version });
      });
      await step("doctor", async () => {
        const command = join(project, "node_modules", "local-entropy", "dist", "cli", "main.js");
        await run([process.execPath, command, "doctor"], { cwd: project, env: context.env });
        return "answers";
      });
    },
  },
];
