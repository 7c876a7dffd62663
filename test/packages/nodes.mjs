/** What npm has installed, on each Node that is supported: imported by a module, and required at run time. */
import { checkTold, installedProject, told } from "./support/project.mjs";
import { tool } from "./support/tools.mjs";

const parts = ["node20", "node22", "node24"].map((name) => ({
  name,
  async run(context, step) {
    const project = await installedProject(context);
    const options = { cwd: project, env: context.env };
    const { version } = context;
    let node;
    await step("import", async () => {
      node = tool(name, "bin", "node");
      return checkTold(await told([node, "train.mjs"], options), { backend: "native", version });
    });
    await step("require", async () =>
      checkTold(await told([node, "train.cjs"], options), { backend: "native", version }),
    );
    await step("require, on WASM", async () =>
      checkTold(await told([node, "train.cjs", "wasm"], options), { backend: "wasm", version }),
    );
  },
}));
export default parts;
