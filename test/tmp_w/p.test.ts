import { test } from "@jest/globals";
import { importanceSamplingRowwise } from "../../src/reference/row-split.ts";
import { keyOf } from "../../src/reference/streams.ts";
import { finish } from "../../src/reference/work.ts";
import { bruteForce, momentsOf, tinyPoint } from "../tiny-network.ts";

test("p", () => {
  for (const [layers, tau, delta] of [
    [[3], 0.3, 0.1],
    [[3], 0.5, 0.1],
  ] as const) {
    const point = tinyPoint(layers, "two");
    const s = Math.sqrt(tau);
    const c0 = finish(
      importanceSamplingRowwise(
        point,
        { key: keyOf(34), update: 0, projected: true },
        { coupling: { kind: "walsh", blocks: 1000 }, temperature: delta, tau, noiseScale: s },
      ),
    ).loss;
    console.log(c0);
    const truth = bruteForce(point, s, 200_000, [delta], c0);
    const wt = truth.meanWeights[0].reduce((a, b) => a + b, 0) / truth.meanWeights[0].length;
    const g = momentsOf(truth.numerators[0]).mean.map((v) => v / wt);
    const norm = Math.hypot(...g);
    console.log(
      layers,
      tau,
      delta,
      "wt",
      wt,
      "rel se of truth",
      Math.sqrt(momentsOf(truth.numerators[0]).squaredError.reduce((a, b) => a + b, 0)) / wt / norm,
    );
    const a = performance.now();
    for (const K of [2, 4, 8, 16, 32, 64]) {
      const R = 100;
      const biases: number[][] = [];
      for (let update = 0; update < R; update++) {
        const run = (c?: number) =>
          finish(
            importanceSamplingRowwise(
              point,
              { key: keyOf(33), update: update + 1000 * K, projected: true },
              { coupling: { kind: "walsh", blocks: K }, temperature: delta, tau, noiseScale: s },
              c,
            ),
          );
        const q = run();
        const fix = run(c0);
        const w = Math.exp(-(fix.freeEnergy - c0) / delta) / wt;
        // quotient less its linearization
        const b = q.gradient.map((v, i) => v - fix.gradient[i] * w + g[i] * (w - 1));
        biases.push([
          (b.reduce((sum, v, i) => sum + v * g[i], 0) / norm / norm) * K,
          (q.gradient.reduce((sum, v, i) => sum + (v - g[i]) * g[i], 0) / norm / norm) * K,
        ]);
      }
      const m = momentsOf(biases);
      console.log(
        K,
        "K·bias",
        m.mean[0].toFixed(4),
        "±",
        Math.sqrt(m.squaredError[0]).toFixed(4),
        "plain",
        m.mean[1].toFixed(3),
        "±",
        Math.sqrt(m.squaredError[1]).toFixed(3),
      );
    }
    console.log((performance.now() - a).toFixed(0), "ms");
  }
});
