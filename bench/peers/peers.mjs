/**
 * The rivals from other packages: which there are, what each computes in which variants, and how to set up those
 * that are absent.
 */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { B, data } from "../problem.mjs";
import { array, Peer } from "./peer.mjs";
import { problem, TASKS } from "./tasks.mjs";

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url));
const PYTHON = path(
  `../../.peers/python/${process.platform === "win32" ? "Scripts/python.exe" : "bin/python"}`,
);
const TFJS = path("../../.peers/tfjs/node_modules/@tensorflow/");
const setUp = (name) => `node bench/peers/setup-${name}.mjs`;

const everything = Object.keys(TASKS);
const python = (file) => [PYTHON, [path(file)]];
const tfjs = (backend, environment) => [process.execPath, [path("tfjs.mjs"), backend], environment];

/** oneDNN off, and one thread for single steps: these shapes are too small for either. */
const TENSORFLOW = { TF_ENABLE_ONEDNN_OPTS: "0" };

/** Variant → tasks. `slow` variants spend minutes on compiling and are left out of quick runs; `steps` is how many steps of
 * SGD and Adam a call does, where a hundred take too long; then it does a tenth of all samples too. */
const PEERS = [
  {
    name: "PyTorch",
    needs: PYTHON,
    setUp: setUp("python"),
    start: python("pytorch.py"),
    variants: { eager: everything, projected: ["importance-sampling"] },
    slow: { compiled: ["sgd", "adam", "sgld", "importance-sampling"] },
  },
  {
    name: "JAX",
    needs: PYTHON,
    setUp: setUp("python"),
    start: python("jax-jit.py"),
    variants: { jit: everything, projected: ["importance-sampling"] },
  },
  {
    name: "tfjs-node",
    needs: `${TFJS}tfjs-node/lib/napi-v8/tfjs_binding.node`,
    setUp: setUp("tfjs"),
    start: tfjs("tensorflow", TENSORFLOW),
    variants: { native: ["gaussian", "weights", "importance-sampling", "sgld", "robbins-monro"] },
  },
  {
    name: "tfjs-node",
    needs: `${TFJS}tfjs-node/lib/napi-v8/tfjs_binding.node`,
    setUp: setUp("tfjs"),
    start: tfjs("tensorflow", { TF_NUM_INTRAOP_THREADS: "1", ...TENSORFLOW }),
    variants: { "native, 1 thread": ["sgd", "adam"] },
  },
  {
    name: "tfjs",
    needs: `${TFJS}tfjs-backend-wasm`,
    setUp: setUp("tfjs"),
    start: tfjs("wasm"),
    variants: { wasm: ["gaussian", "importance-sampling", "sgd", "adam"] },
    steps: 10,
  },
  {
    name: "tfjs",
    needs: `${TFJS}tfjs`,
    setUp: setUp("tfjs"),
    start: tfjs("cpu"),
    variants: { cpu: ["gaussian", "sgd", "adam"] },
    steps: 10,
  },
];

/** The settings for less work, and its share of the whole: `steps` of SGD or Adam; a tenth of all samples. */
function smaller(settings, steps, quick) {
  const { rows, samples, stepSizes } = settings;
  if (rows !== undefined) {
    if (steps === undefined) return { settings, share: 1 };
    const fewer = array(rows.values.slice(0, steps * B), steps, B);
    return { settings: { ...settings, rows: fewer }, share: steps / rows.shape[0] };
  }
  if (!quick && steps === undefined) return { settings, share: 1 };
  if (stepSizes)
    return { settings: { ...settings, stepSizes: stepSizes.slice(0, stepSizes.length / 10) }, share: 0.1 };
  if (!samples) return { settings, share: 1 };
  const fewer = Math.round(samples / 10);
  return { settings: { ...settings, samples: fewer }, share: fewer / samples };
}

/**
 * Opens the rivals that are set up.
 *
 * @returns `present` and `absent` for the record; `rivals(task)` → checked rivals for `Harness.compare`; close()
 */
export async function openPeers({ quick }) {
  const open = [];
  const [present, absent] = [[], []];
  for (const { name, needs, setUp, start, variants, slow = {}, steps } of PEERS) {
    const all = quick ? variants : { ...variants, ...slow };
    const label = `${name} ${Object.keys(all)[0]}`;
    if (!existsSync(needs)) {
      absent.push({ name: label, setUp });
      continue;
    }
    const peer = new Peer(...start);
    const { version } = await peer.request({ do: "load", ...problem(data.train) });
    present.push({ name: label, version });
    open.push({ name, peer, variants: all, steps });
  }
  for (const { name, setUp } of absent) console.log(`Absent: ${name}. To set it up: ${setUp}`);

  /**
   * Rivals of one task, or of these `variants` of it; `settings` adds to what is timed, `error` names the estimator
   * of a variant, or of `direct` ones, in the study of errors.
   */
  async function rivals(task, { variants: wanted, settings = {}, error } = {}) {
    const found = {};
    for (const { name, peer, variants, steps } of open) {
      for (const [variant, tasks] of Object.entries(variants)) {
        if (!tasks.includes(task) || (wanted && !wanted.includes(variant))) continue;
        const label = `${name} ${variant}`;
        const ask = (settings) => peer.request({ do: "answer", task, variant, settings });
        await TASKS[task].check(ask, `${task}, ${label}`, variant);
        const { settings: timed, share } = smaller({ ...TASKS[task].timed, ...settings }, steps, quick);
        const message = { do: "time", task, variant, settings: timed };
        const sample = (effort) => peer.request({ ...message, ...effort });
        found[label] = { sample, error: error?.[variant] ?? error?.direct, share };
      }
    }
    return found;
  }
  /** Adam from the start over these rows, timed, then once more for the parameters that it ends at. */
  async function wholeRuns(settings) {
    const rows = [];
    for (const { name, peer, variants, steps } of open) {
      for (const [variant, tasks] of Object.entries(variants)) {
        if (!tasks.includes("adam") || steps !== undefined) continue;
        const message = { task: "adam", variant, settings };
        const { seconds } = await peer.request({ do: "time", ...message, seconds: 0, samples: 1 });
        const { parameters } = await peer.request({ do: "answer", ...message });
        rows.push({ name: `${name} ${variant}`, seconds: Math.min(...seconds), parameters });
      }
    }
    return rows;
  }
  const close = () => {
    for (const { peer } of open) peer.close();
  };
  return { present, absent, rivals, wholeRuns, close };
}
