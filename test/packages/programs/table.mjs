// From the text of a CSV file to a prediction, through a checkpoint.
import { load, train } from "local-entropy";
import { decode, encode, table } from "local-entropy/table";

const rows = Array.from({ length: 40 }, (_, i) => `${i % 9},${["a", "b"][i % 2]},${i % 2 ? "odd" : "even"}`);
const data = await table(`\ufeffsize,name,kind\r\n${rows.join("\r\n")}`, { label: "kind" });
const { width, classes } = data.train;
const result = await train({
  network: [width, 8, classes],
  data,
  updates: 200,
  optimizer: { kind: "adam", rate: 0.01 },
}).result;
await result.save("table-run");
const { encoding } = await load("table-run");
const { inputs } = await encode([{ name: "b", size: 3 }], encoding);
console.log(
  JSON.stringify({
    names: encoding.featureNames,
    testAccuracy: result.testAccuracy,
    inputs: inputs.length,
    first: decode([0], encoding),
  }),
);
