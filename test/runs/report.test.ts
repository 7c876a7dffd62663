/** The report: complete in itself, what it shows is the run's, and what a run lacks is left out. */
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { crc32, inflateSync } from "node:zlib";
import { describe, expect, test } from "@jest/globals";
import { parseHTML } from "linkedom";
import { initialParameters } from "../../src/initialization.ts";
import type { Network } from "../../src/network.ts";
import type { TrainRecord } from "../../src/run.ts";
import { save } from "../../src/runs/checkpoint.ts";
import { METRICS_FILE, REPORT_FILE } from "../../src/runs/files.ts";
import { type RunFile, updateRunFile } from "../../src/runs/folder.ts";
import { recordLine } from "../../src/runs/metrics.ts";
import { encodePng } from "../../src/runs/png.ts";
import { renderReport, writeReport } from "../../src/runs/report.ts";

const network: Network = { layers: [9, 5, 3], activation: "relu" };
const parameters = initialParameters(network, [7, 0]);
const confusion = [
  [50, 1, 2],
  [0, 40, 3],
  [4, 0, 60],
];
const run: RunFile = {
  versions: { package: "1.2.3", node: "v20", platform: "linux-x64" },
  started: "2026-01-02T03:04:05.678Z",
  options: { batchSize: 17, optimizer: { kind: "adam", rate: { name: "cosine", arguments: [0.001, 0] } } },
  backend: {
    name: "native",
    instructionSet: "avx2",
    threads: 2,
    form: "projected",
    coupling: "antithetic",
    samples: 1000,
    declined: [{ name: "cuda", reason: "<not> in this build" }],
  },
  updates: 400,
  seconds: 12.34,
  completed: true,
  testAccuracy: 0.9375,
  confusion,
};
const records: TrainRecord[] = Array.from({ length: 40 }, (_, i) => ({
  update: 10 * (i + 1),
  loss: 2 / (i + 1),
  freeEnergy: 1.9 / (i + 1),
  gradientNorm: 1 + Math.sin(i) / 2,
  effectiveSampleSize: 900 + i,
  ...(i % 10 === 9 ? { testAccuracy: 0.5 + i / 100 } : {}),
  seconds: i,
  updatesPerSecond: 10,
}));

function parse(page: string) {
  const { document } = parseHTML(page);
  const headings = [...document.querySelectorAll("figure h2")].map(
    (heading) => heading.firstChild?.textContent,
  );
  return { document, headings };
}

describe("page", () => {
  const page = renderReport({ run, records, network, parameters });
  const { document, headings } = parse(page);

  test("needs nothing else: no script, no link, no address but its own pictures'", () => {
    expect(document.querySelectorAll("script, link, iframe, object")).toHaveLength(0);
    for (const element of document.querySelectorAll("[src], [href]")) {
      expect(element.getAttribute("src") ?? element.getAttribute("href")).toMatch(
        /^data:image\/png;base64,|^#/,
      );
    }
    expect(page.replace(/xmlns(:\w+)?="[^"]*"/g, "")).not.toMatch(/https?:|@import|url\(\s*["']?(?!#|data:)/);
  });

  test("says the accuracy first, and in one sentence what was done", () => {
    expect(document.querySelector("h1")?.textContent).toBe("93.75 % test accuracy");
    expect(document.querySelector(".summary")?.textContent).toBe(
      "A 9–5–3 network trained by local entropy with importance sampling of 1,000 antithetic samples an update " +
        "for 400 updates in 12.3 s on the native backend (avx2, 2 threads).",
    );
  });

  test("has a figure of each kind, with labelled axes", () => {
    expect(headings).toEqual([
      "Accuracy",
      "Loss",
      "Effective sample size",
      "Gradient",
      "First layer",
      "Confusion",
    ]);
    const labels = [...document.querySelectorAll("svg text")].map((text) =>
      text.textContent?.replace(/[↑→\s]+/g, " ").trim(),
    );
    for (const label of ["updates", "% right", "nats", "samples", "norm", "recognized as", "label"]) {
      expect(labels).toContain(label);
    }
  });

  test("draws each curve through its records", () => {
    const lines = [...document.querySelectorAll("svg g[aria-label=line] path")].map(
      (path) => path.getAttribute("d") ?? "",
    );
    const points = lines.map((d) => d.split(/[ML]/).length - 1);
    expect(points).toEqual([4, 40, 40, 40, 40]); // accuracy, loss, F, effective sample size, gradient
    // The loss falls, so its line runs down the page: y grows.
    const heights = lines[1]
      .split(/[ML]/)
      .slice(1)

      .map((point: string) => Number(point.split(",")[1]));
    expect(heights).toEqual([...heights].sort((a, b) => a - b));
    expect(heights[0]).toBeLessThan(heights[39]);
  });

  test("shows the counts of the confusion matrix", () => {
    const svg = [...document.querySelectorAll("figure")].at(-1)?.querySelector("svg");
    const counts = [...(svg?.querySelectorAll("g[aria-label=text] text") ?? [])].map((text) =>
      Number(text.textContent),
    );
    expect(counts.sort((a, b) => a - b)).toEqual([1, 2, 3, 4, 40, 50, 60]);
    expect(page).toContain("10 of 160 test images are taken for another class.");
  });

  test("lists the options and what ran", () => {
    const rows = [...document.querySelectorAll("tr")].map((row) =>
      [...row.children].map((cell) => cell.textContent),
    );
    expect(rows).toContainEqual(["batchSize", "17"]);
    expect(rows).toContainEqual(["optimizer.rate", "cosine(0.001, 0)"]);
    expect(rows).toContainEqual(["first layer", "projected"]);
    expect(rows).toContainEqual(["not cuda", "<not> in this build"]);
    expect(rows).toContainEqual(["started", "2026-01-02 03:04:05 UTC"]);
    expect(page).toContain("&#60;not&#62; in this build");
  });
});

describe("what a run lacks", () => {
  test("a run that has just begun", () => {
    const { versions, started } = run;
    const { document, headings } = parse(renderReport({ run: { versions, started }, records: [] }));
    expect(headings).toEqual([]);
    expect(document.querySelector("h1")?.textContent).toBe("A run that has just begun");
  });

  test("SGD has no effective sample size, and inputs that are no square have no pictures", () => {
    const plain = records.map(({ effectiveSampleSize: _, freeEnergy: __, ...rest }) => rest);
    const wide: Network = { layers: [10, 3], activation: "relu" };
    const data = { run: { ...run, confusion: undefined }, records: plain, network: wide };
    const { headings } = parse(renderReport({ ...data, parameters: initialParameters(wide, [1, 0]) }));
    expect(headings).toEqual(["Accuracy", "Loss", "Gradient"]);
  });

  test("a run that was stopped says so", () => {
    const { document } = parse(renderReport({ run: { ...run, completed: false }, records }));
    expect(document.querySelector(".summary")?.textContent).toContain("stopped after 400 updates");
  });

  test("thousands of records are joined, and a loss that is not finite is left out", () => {
    const many = Array.from({ length: 5000 }, (_, i) => ({
      ...records[0],
      update: i + 1,
      loss: i === 7 ? Number.NaN : 1 + i,
    }));
    const { document } = parse(renderReport({ run, records: many }));
    const [loss] = [...document.querySelectorAll("svg g[aria-label=line] path")].map(
      (path) => path.getAttribute("d") ?? "",
    );
    expect(loss).not.toContain("NaN");
    expect(loss.split(/[ML]/).length - 1).toBe(Math.ceil(4999 / 13));
  });
});

/** A PNG's pixels, read by the specification: chunks with their CRC, rows without a filter. */
function decodePng(bytes: Uint8Array): { width: number; height: number; pixels: Uint8Array } {
  const buffer = Buffer.from(bytes);
  expect(buffer.subarray(0, 8).toString("latin1")).toBe("\x89PNG\r\n\x1a\n");
  const chunks: [string, Buffer][] = [];
  for (let at = 8; at < buffer.length; ) {
    const length = buffer.readUInt32BE(at);
    const content = buffer.subarray(at + 8, at + 8 + length);
    if (crc32)
      expect(buffer.readUInt32BE(at + 8 + length)).toBe(crc32(buffer.subarray(at + 4, at + 8 + length)));
    chunks.push([buffer.toString("latin1", at + 4, at + 8), content]);
    at += 12 + length;
  }
  expect(chunks.map(([name]) => name)).toEqual(["IHDR", "IDAT", "IEND"]);
  const [[, header], [, data]] = chunks;
  const width = header.readUInt32BE(0);
  const height = header.readUInt32BE(4);
  expect([...header.subarray(8)]).toEqual([8, 6, 0, 0, 0]);
  const rows = inflateSync(data);
  expect(rows.length).toBe(height * (1 + 4 * width));
  const pixels = new Uint8Array(4 * width * height);
  for (let y = 0; y < height; y++) {
    expect(rows[y * (1 + 4 * width)]).toBe(0);
    pixels.set(rows.subarray(y * (1 + 4 * width) + 1, (y + 1) * (1 + 4 * width)), 4 * width * y);
  }
  return { width, height, pixels };
}

describe("pictures", () => {
  test("a PNG holds its pixels", () => {
    const pixels = Uint8Array.from({ length: 4 * 5 * 3 }, (_, i) => (37 * i) % 256);
    expect(decodePng(encodePng(5, 3, pixels))).toEqual({ width: 5, height: 3, pixels });
  });

  test("a known CRC: that of an empty IEND chunk", () => {
    expect([...encodePng(1, 1, new Uint8Array(4)).slice(-4)]).toEqual([0xae, 0x42, 0x60, 0x82]);
  });

  test("each tile has its unit's weights: blue positive, orange negative, opacity their size", () => {
    const page = renderReport({ run, records: [], network, parameters });
    const src = parse(page).document.querySelector("img.weights")?.getAttribute("src") ?? "";
    const { width, height, pixels } = decodePng(
      Buffer.from(src.replace("data:image/png;base64,", ""), "base64"),
    );
    // Five units of 3 × 3 inputs: three tiles across, two down, two pixels between.
    expect([width, height]).toEqual([3 * 5 - 2, 2 * 5 - 2]);
    // Full colour begins at the 99.5th percentile, of 45 the second largest.
    const scale = parameters.slice(0, 45).map(Math.abs).sort()[43];
    for (let unit = 0; unit < 5; unit++) {
      for (let input = 0; input < 9; input++) {
        const x = (unit % 3) * 5 + (input % 3);
        const y = Math.floor(unit / 3) * 5 + Math.floor(input / 3);
        const [red, , blue, opacity] = pixels.subarray(4 * (y * width + x));
        const weight = parameters[input * 5 + unit];
        expect(weight > 0).toBe(blue > red);
        expect(opacity).toBe(Math.round(255 * Math.min(1, Math.abs(weight) / scale)));
      }
    }
    expect(pixels[4 * 3 + 3]).toBe(0); // between two tiles the page shows through
  });
});

test("writeReport makes the page from a run's folder", async () => {
  const directory = await mkdtemp(join(tmpdir(), "report-"));
  try {
    const resume = {
      update: 400,
      fingerprint: "f",
      parameters,
      moments: [],
      chain: null,
      average: null,
      pending: [],
      backend: "native",
      instructionSet: "avx2",
      seconds: 12.34,
    };
    const { options = {}, backend, updates = 0, seconds = 0 } = run;
    if (!backend) throw new Error("the run has no backend");
    const told = {
      options,
      backend,
      updates,
      seconds,
      completed: true,
      testAccuracy: 0.9375,
      validationAccuracy: null,
    };
    await save(directory, { network, resume }, told);
    await updateRunFile(directory, { confusion, started: run.started });
    await writeFile(join(directory, METRICS_FILE), records.map(recordLine).join(""));
    expect(await writeReport(directory)).toBe(join(directory, REPORT_FILE));
    const { headings, document } = parse(await readFile(join(directory, REPORT_FILE), "utf8"));
    expect(headings).toHaveLength(6);
    expect(document.querySelector("h1")?.textContent).toBe("93.75 % test accuracy");
    await expect(writeReport(join(directory, "nowhere"))).rejects.toThrow(/nowhere holds no run.json/);
  } finally {
    await rm(directory, { recursive: true });
  }
});

test("the library loads neither the report nor the command line", () => {
  const seen = new Set<string>();
  const visit = (file: string) => {
    if (seen.has(file) || !existsSync(file)) return;
    seen.add(file);
    const text = readFileSync(file, "utf8").replace(/^(import|export) type .*$/gm, "");
    for (const [, path] of text.matchAll(/(?:from|import\(|import) ?"(\.[^"]+)"/g))
      visit(resolve(dirname(file), path));
  };
  const root = resolve(import.meta.dirname, "..", "..", "src");
  visit(join(root, "index.ts"));
  expect(seen).toContain(join(root, "runs", "checkpoint.ts"));
  expect([...seen].filter((file) => /runs\/(report|png)|\/cli\//.test(file))).toEqual([]);
});
