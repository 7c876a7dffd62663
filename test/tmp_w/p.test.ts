import { test } from "@jest/globals";
import { keyOf } from "../../src/reference/streams.ts";
import { importanceSamplingWalsh } from "../../src/reference/walsh.ts";
import { importanceSamplingRowwise } from "../../src/reference/row-split.ts";
import { noiseForm } from "../../src/reference/units.ts";
import { finish } from "../../src/reference/work.ts";
import { bruteForce, tinyPoint } from "../tiny-network.ts";
test("p", () => {
  const point = tinyPoint([6, 3], "repeated");
  const t = (name: string, f: () => void, n: number) => { f(); const a = performance.now(); for (let i = 0; i < n; i++) f(); console.log(name, ((performance.now() - a) / n).toFixed(4), "ms"); };
  let k = 0;
  t("form", () => { const form = noiseForm(point, { key: keyOf(3), update: k++, projected: true }); form.normals(0); }, 500);
  t("brute 10000", () => { bruteForce(point, 0.5, 10000, [1, 0.5], 1.5); }, 3);
  const settings = { coupling: { kind: "walsh", blocks: 2 } as const, temperature: 1, tau: 0.3, noiseScale: Math.sqrt(0.3) };
  t("weights only", () => { finish(importanceSamplingWalsh(point, { key: keyOf(3), update: k++, projected: true }, settings, 2)); }, 300);
  t("row split", () => { finish(importanceSamplingRowwise(point, { key: keyOf(3), update: k++, projected: true }, settings)); }, 300);
});
