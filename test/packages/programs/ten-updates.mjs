/** What each project does with the package: ten updates, and on a server a folder with its report. */

const COUNT = 64;
const WIDTH = 6;
const CLASSES = 3;

/** Trains ten updates of 6-8-3 on rows that are no data at all. */
export async function tenUpdates(train, backend) {
  const data = {
    inputs: Float32Array.from({ length: COUNT * WIDTH }, (_, i) => Math.sin(i)),
    labels: Uint8Array.from({ length: COUNT }, (_, i) => i % CLASSES),
    count: COUNT,
    width: WIDTH,
    classes: CLASSES,
  };
  const network = [WIDTH, 8, CLASSES];
  return train({ network, data: { train: data, test: data }, updates: 10, backend, threads: 2 }).result;
}

/** The same, then saves, loads what was saved, makes a report, and tells it all in one line of JSON. */
export async function trainSaveReport({ train, load }, { writeReport }, fs) {
  const [backend = "auto", folder = "run"] = process.argv.slice(2);
  const result = await tenUpdates(train, backend);
  await result.save(folder);
  const loaded = await load(folder);
  await writeReport(folder);
  const told = {
    ...result.backend,
    updates: result.updates,
    same: loaded.parameters.every((value, i) => Object.is(value, result.parameters[i])),
    version: JSON.parse(fs.readFileSync(`${folder}/run.json`, "utf8")).versions.package,
    report: fs.readFileSync(`${folder}/report.html`, "utf8").trimEnd().slice(-7),
  };
  console.log(JSON.stringify(told));
}
