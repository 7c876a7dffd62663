/**
 * What to do about sentences that do not say it themselves: the beginning or a piece of a sentence, and the advice. A test
 * holds each against the sources.
 */
export const HINTS = [
  [
    "The call was cancelled",
    "Its `signal` was aborted, or the backend was closed under it. Nothing is wrong.",
  ],
  ["The wasm backend cannot be used: ", "The reason follows; `npx local-entropy doctor` has all of them."],
  [
    "The wasm backend did not start: ",
    "The reasons of each build follow. In a browser look at the network panel for a `.wasm` file or worker that did not load.",
  ],
  [
    "could not be fetched: ",
    "Serve the package's `dist` folder where the page asks for it; see “Browsers and bundlers”.",
  ],
  [
    "for the environment variable LOCAL_ENTROPY_BACKEND",
    "Unset the variable, or give it one of these names.",
  ],
  ["for the build of the wasm backend", "Unset `LOCAL_ENTROPY_WASM_BUILD`, or give it one of these names."],
  ["Unknown option ", "Look the name up on the page “All options”."],
  ["MNIST was not found", "The package itself brings no data."],
  ["the training data has ", "Give a smaller `batchSize`, or more rows."],
  [
    " to be that of the run that is resumed",
    "What the run had is in its `run.json`. To train on from what was learnt with another network, seed or averaging, give `parameters` in place of `resume`.",
  ],
  ["The loss was ", "See “A run diverges” on the page “Backends and troubleshooting”."],
  ["the run diverged. ", "See “A run diverges” on the page “Backends and troubleshooting”."],
];
