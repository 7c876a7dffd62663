/** The declarations in users' projects: compilers, module resolutions, strictness, and few libraries of types. */
import { symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "./support/commands.mjs";
import { newProject, npmInstall, told } from "./support/project.mjs";
import { tool } from "./support/tools.mjs";

const COMPILERS = { "TypeScript 5.5": "typescript55", "TypeScript 6": "typescript6" };
const RESOLUTIONS = {
  nodenext: { module: "nodenext", moduleResolution: "nodenext" },
  bundler: { module: "es2022", moduleResolution: "bundler" },
};
const STRICTNESS = {
  strict: { strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true },
  "not strict": { strict: false },
};
const ALONE = { lib: ["ES2022"], types: [] };
const WITH_OTHERS = { lib: ["ES2022", "DOM"], types: ["node"] };

async function compile(context, project, compiler, file, compilerOptions) {
  const options = { target: "es2022", skipLibCheck: false, noEmit: true, ...compilerOptions };
  writeFileSync(join(project, "tsconfig.json"), JSON.stringify({ compilerOptions: options, files: [file] }));
  const tsc = [process.execPath, tool(compiler, "bin", "tsc"), "--pretty", "false"];
  await run(tsc, { cwd: project, env: context.env });
}

/** A project with the package alone, where the compiler finds Node's types only if it is told to. */
async function typedProject(context) {
  const project = newProject(context, "types");
  await npmInstall(context, project, "local-entropy");
  symlinkSync(join(tool("@types", "node"), ".."), join(project, "node_modules", "@types"), "dir");
  symlinkSync(tool("undici-types"), join(project, "node_modules", "undici-types"), "dir");
  return project;
}

const parts = Object.entries(COMPILERS).map(([title, compiler]) => ({
  name: "types",
  title,
  async run(context, step) {
    const project = await typedProject(context);
    const consume = async (...options) => {
      await compile(context, project, compiler, "consumer.ts", Object.assign({}, ...options));
      return "compiled";
    };
    for (const [resolution, first] of Object.entries(RESOLUTIONS)) {
      for (const [strictness, second] of Object.entries(STRICTNESS)) {
        await step(`${resolution}, ${strictness}, lib ES2022`, () => consume(first, second, ALONE));
      }
    }
    // Most of the time here goes into the declarations of others.
    const { nodenext } = RESOLUTIONS;
    await step("nodenext, strict, DOM, Node", () => consume(nodenext, STRICTNESS.strict, WITH_OTHERS));
    await step("CommonJS under node16", async () => {
      await compile(context, project, compiler, "common.cts", {
        ...{ module: "node16", moduleResolution: "node16", strict: true, noEmit: false, allowJs: false },
        ...{ lib: ["ES2022"], types: ["node"] },
      });
      const { updates, name } = await told([process.execPath, "common.cjs"], {
        cwd: project,
        env: context.env,
      });
      if (updates !== 10 || name !== "native") throw new Error(`${updates} updates on ${name}`);
      return "compiled, ten updates natively";
    });
  },
}));
export default parts;
