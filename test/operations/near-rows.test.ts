/**
 * Minibatches with nearly equal rows: every projected estimator on every backend, to the bound that such rows leave.
 */
import { describe, expect, test } from "@jest/globals";
import { choleskyFactor, gramMatrix } from "../../src/reference/linear/projection.ts";
import { onEveryFastBackend, reference } from "../support/backends.ts";
import { CROSS_ENTROPY, KEY, networkCase } from "../support/fixtures.ts";
import { matches, nearRows } from "../tolerances.ts";

/** Row 3 is row 1 but for `apart` in one input, in bytes or in floats. */
const NEAR = [
  { inputs: "bytes", apart: 1 },
  { inputs: "bytes", apart: 40 },
  { inputs: "floats", apart: 1e-1 },
  { inputs: "floats", apart: 1e-2 },
  { inputs: "floats", apart: 1e-3 },
  { inputs: "floats", apart: 3e-4 },
] as const;

function nearCase({ inputs, apart }: (typeof NEAR)[number]) {
  const layers = [30, 17, 5];
  const made = networkCase({ layers, rows: 8, inputs, repeats: [[3, 1]] }); // biome-ignore format: a pair
  const at =
    3 * 30 + made.batch.inputs.subarray(90, 120).findIndex((x) => x > 60 || (inputs === "floats" && x > 0.3));
  made.batch.inputs[at] += apart;
  return made;
}

/** The least pivot that is kept, over its diagonal entry. */
function leastPivot(inputs: Uint8Array | Float32Array, width: number): number {
  const count = inputs.length / width;
  const gram = gramMatrix(inputs, width);
  const factor = choleskyFactor(gram, count);
  return Math.min(
    ...Array.from({ length: count }, (_, i) => factor[i * count + i] ** 2 / gram[i * count + i]).filter(
      (p) => p > 0,
    ),
  );
}

onEveryFastBackend((given) => {
  describe.each(NEAR)("$inputs $apart apart", (near) => {
    const { network, parameters, batch } = nearCase(near);
    const more = nearRows(leastPivot(batch.inputs, network.layers[0]));
    const point = {
      network,
      parameters,
      loss: CROSS_ENTROPY,
      key: KEY,
      update: 5,
      tau: 0.05,
      projected: true,
    };
    const sampled = { ...point, batch, noiseScale: 0.2, temperature: 0.35 };
    const couplings = [
      { kind: "antithetic", samples: 20 },
      { kind: "independent", samples: 20, complement: "marginalize", centred: true },
      { kind: "walsh", blocks: 2 },
    ] as const;

    test("the rows are near, and both are kept", () => {
      expect(more).toBeGreaterThan(1e-6);
      expect(more).toBeLessThan(3.8e-3);
    });

    test.each(couplings.flatMap((coupling) => [true, false].map((rowwise) => ({ coupling, rowwise }))))(
      "%j",
      async (settings) => {
        const { operations } = given();
        const input = { ...sampled, ...settings };
        const [actual, expected] = [
          await operations.importanceSampling(input),
          await reference.importanceSampling(input),
        ];
        matches("importance-sampling gradient", actual.gradient, expected.gradient, more);
        matches("weights", (await operations.weights(input)).losses, (await reference.weights(input)).losses);
        const [heat, trueHeat] = [
          await operations.evolutionStrategies(input),
          await reference.evolutionStrategies(input),
        ];
        matches("importance-sampling gradient", heat.gradient, trueHeat.gradient, more);
      },
    );

    test("chains", async () => {
      const { operations } = given();
      const offset = (mean: ArrayLike<number>) => Array.from(mean, (x, i) => x - parameters[i]);
      const stepSizes = Float64Array.of(0.02, 0.03, 0.01, 0.02);
      const chain = { ...point, batches: [batch], stepSizes };
      const langevin = { ...chain, start: parameters, noiseScales: stepSizes.map(Math.sqrt) };
      const [sgld, trueSgld] = [await operations.sgld(langevin), await reference.sgld(langevin)];
      matches("sgld", offset(sgld.mean), offset(trueSgld.mean), more);
      const descent = { ...chain, samples: 3, noiseScale: 0.2 };
      const [heat, trueHeat] = [
        await operations.robbinsMonro(descent),
        await reference.robbinsMonro(descent),
      ];
      matches("robbins-monro", offset(heat.mean), offset(trueHeat.mean), more);
    });
  });
});
