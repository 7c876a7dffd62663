/**
 * What estimates claim of their error, `standardError`, against the error that they have: root mean squares over
 * updates, whose ratio is 1 where the mean claimed² is the expected |error|². On the fastest backend that is present; all
 * are held against one reference elsewhere.
 *
 * All is seeded. Over so many updates a ratio's own error is 1 to 4 %. Ratios do not lie around 1: Walsh blocks of one
 * group share their slopes, which makes the claim too small where losses are nearly linear in the noise, by up to 15 % at
 * K = 2 and less with more.
 */
import { afterAll, describe, expect, test } from "@jest/globals";
import type { Backend, Coupling } from "../../src/backends/backend.ts";
import { initialParameters } from "../../src/initialization.ts";
import { parameterCount } from "../../src/network.ts";
import { gaussian } from "../../src/reference/random/gaussian.ts";
import { keyOf } from "../../src/reference/random/streams.ts";
import { FAST_PLACES } from "../support/backends.ts";
import { testAll } from "../support/everything.ts";
import { CROSS_ENTROPY } from "../support/tiny-network.ts";

const KEY = keyOf(33);
const walsh = (blocks: number): Coupling => ({ kind: "walsh", blocks });
const antithetic = (samples: number): Coupling => ({ kind: "antithetic", samples });
const independent = (samples: number, complement: "sample" | "marginalize" = "marginalize"): Coupling => ({
  kind: "independent",
  samples,
  complement,
  centred: complement === "marginalize",
});

/** 16-12-4 on 8 rows: large enough that a few rows' noise near zero does not decide all. */
function smallPoint() {
  const network = { layers: [16, 12, 4], activation: "relu" } as const;
  const inputs = Float32Array.from(gaussian(keyOf(11), 900, 0, 0, 8 * 16), (z) => Math.abs(z) / 2);
  const labels = Uint16Array.from({ length: 8 }, (_, row) => row % 4);
  const x = gaussian(keyOf(12), 901, 0, 0, parameterCount(network)).map((z) => 0.8 * z);
  return {
    network,
    loss: CROSS_ENTROPY,
    parameters: Float32Array.from(x),
    batch: { inputs, labels },
    key: KEY,
  };
}

/** Rows of 784 bytes, most of them zero, at Glorot's start. */
function largePoint() {
  const network = { layers: [784, 200, 10], activation: "relu" } as const;
  const parameters = Float32Array.from(initialParameters(network, keyOf(5)));
  const ink = gaussian(keyOf(6), 900, 0, 0, 20 * 784);
  const inputs = Uint8Array.from(ink, (z) => (z > 0.8 ? Math.min(255, 120 * z) : 0));
  const labels = Uint16Array.from({ length: 20 }, (_, row) => row % 10);
  return { network, loss: CROSS_ENTROPY, parameters, batch: { inputs, labels }, key: KEY };
}

type Point = ReturnType<typeof smallPoint> | ReturnType<typeof largePoint>;

interface Claim {
  readonly objective: "local entropy" | "heat";
  readonly coupling: Coupling;
  readonly rowwise: boolean;
  readonly tau: number;
}

const claims = (couplings: readonly Coupling[], taus: readonly number[], rowwise = true): Claim[] =>
  couplings.flatMap((coupling) =>
    taus.flatMap((tau) =>
      (["local entropy", "heat"] as const).map((objective) => ({ objective, coupling, rowwise, tau })),
    ),
  );

/** Claimed over real, both root mean squares over updates, at δ = 1. */
async function honesty(
  { operations }: Backend,
  point: Point,
  claim: Claim,
  updates: number,
): Promise<number> {
  const { objective, coupling, rowwise, tau } = claim;
  const input = { ...point, coupling, rowwise, projected: true, tau, noiseScale: Math.sqrt(tau) };
  const total = new Float64Array(point.parameters.length);
  let [squares, claimed] = [0, 0];
  for (let update = 0; update < updates; update++) {
    const { gradient, standardError } =
      objective === "heat"
        ? await operations.evolutionStrategies({ ...input, update })
        : await operations.importanceSampling({ ...input, update, temperature: 1 });
    for (let i = 0; i < total.length; i++) {
      total[i] += gradient[i];
      squares += gradient[i] ** 2;
    }
    claimed += standardError! ** 2;
  }
  const ofMean = total.reduce((sum, value) => sum + value * value, 0) / updates;
  return Math.sqrt(claimed / updates / ((squares - ofMean) / (updates - 1)));
}

describe("standardError is the root of the expected squared error", () => {
  const backend = FAST_PLACES[0].open(2);
  afterAll(() => backend.close());

  async function isHonest(point: Point, claim: Claim, updates: number): Promise<void> {
    const ratio = await honesty(backend, point, claim, updates);
    const within = claim.tau === 1e-2 ? 0.15 : 0.3;
    expect({ ratio, honest: Math.abs(ratio - 1) <= within }).toMatchObject({ honest: true });
  }

  const name = "$objective, $coupling, by rows $rowwise, τ = $tau";
  describe("on a small network", () => {
    const point = smallPoint();
    test.each([
      ...claims([walsh(2), walsh(4), walsh(8), walsh(9), antithetic(16), independent(16)], [1e-2, 1e-3, 0.1]),
      ...claims([walsh(2), antithetic(16), independent(16)], [1e-2], false),
      {
        objective: "local entropy",
        coupling: independent(16, "sample"),
        rowwise: false,
        tau: 1e-2,
      } satisfies Claim,
    ])(name, (claim) => isHonest(point, claim, 800));
  });

  describe("on 784-200-10", () => {
    const point = largePoint();
    const couplings = [walsh(2), walsh(4), walsh(8), antithetic(100), independent(100)];
    testAll.each(claims(couplings, [1e-2, 5e-4, 0.05]))(name, (claim) => isHonest(point, claim, 24));
  });
});
