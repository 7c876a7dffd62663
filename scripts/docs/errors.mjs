/** The list of all sentences on the page of errors, grouped by what they are about, with what to do. */
import { HINTS } from "./error-hints.mjs";
import { escapeHtml, slugOf } from "./markdown.mjs";
import { allSentences, everyForm, fixedWords, patternOf, plain } from "./sentences.mjs";

/** Groups in the page's order: the classes that belong there, and what helps with all of them. */
const GROUPS = [
  [
    "Wrong options",
    ["OptionError", "RangeError"],
    "`OptionError`, code `ERR_OPTION`. Nothing has been started. The sentence names the option, what is allowed and what was given; what follows a semicolon is what to do.",
  ],
  ["Data files", ["DataError"], "`DataError`, code `ERR_DATA`. The sentence names the file."],
  [
    "Backends",
    ["BackendError", "NoThread"],
    "`BackendError`, code `ERR_BACKEND`. `npx local-entropy doctor` says what this machine can run, and why not the rest.",
  ],
  [
    "Checkpoints and folders of runs",
    ["CheckpointError", "FormatError"],
    "`CheckpointError`, code `ERR_CHECKPOINT`. What was there before stays. What begins with “it” or “tensor” stands within another sentence.",
  ],
  [
    "Runs that diverge",
    ["DivergedError"],
    "`DivergedError`, code `ERR_DIVERGED`. `run.save` still writes the last state that was finite.",
  ],
  ["The command", ["UsageError"], "Told on stderr, with the exit status 1. `--help` lists every option."],
  ["Causes", ["Error"], "Why a file or a worker failed; they stand within another sentence."],
  [
    "Ranges, reasons and advice",
    [null],
    "Pieces that complete a sentence, reasons why a backend was declined (`run.backend.declined`, `doctor`), and what the command says while it runs.",
  ],
  [
    "From the compiled addons",
    ["native"],
    "Sentences of the C++ code, told as the message of a `BackendError` or `OptionError`. Options are checked before, so most of these tell of a fault in the package: please report it.",
  ],
];

/** What a slot is where an option is checked; elsewhere a `path` is a file's. */
const OF_OPTIONS = { path: "option", root: "function", received: "what was given", value: "what was given" };

/** A sentence as HTML: slots in italics, one of several with strokes between. */
function shown(parts, file) {
  const names = /^src\/(options|schedules|errors)/.test(file) ? OF_OPTIONS : {};
  return parts
    .map(({ text, slot, any }) => {
      if (text !== undefined) return escapeHtml(text).replaceAll("\n", " ");
      if (slot) return `<i>${escapeHtml(names[slot] ?? slot)}</i>`;
      const told = any.filter((list) => list.length > 0).map((list) => shown(list, file));
      if (any.length > told.length) return `<span class="may">${told.join(" / ")}</span>`;
      return `<span class="one">${told.join('</span> / <span class="one">')}</span>`;
    })
    .join("");
}

/** Whether it says anything by itself. */
const says = ({ parts }) => fixedWords(parts) > 0;

/** The sentences of the page: those that say something, each once. */
export const SENTENCES = allSentences().filter(says);

/** What to do beyond what a sentence says itself. */
const hintFor = (sentence) => HINTS.find(([stem]) => everyForm(sentence).includes(stem))?.[1];

const code = (text) => escapeHtml(text).replace(/`([^`]+)`/g, "<code>$1</code>");

/** The list, with a field that finds a message which is pasted into it. */
export function errorList() {
  const groups = GROUPS.map(([title, kinds, about]) => {
    const items = SENTENCES.filter(({ kind }) => kinds.includes(kind))
      .sort((a, b) => plain(a.parts).localeCompare(plain(b.parts), "en"))
      .map(({ parts, file }) => {
        const hint = hintFor(parts);
        const attributes = `data-find="${escapeHtml(patternOf(parts))}" data-words="${fixedWords(parts)}"`;
        return `<li ${attributes}><p>${shown(parts, file)}</p>${hint ? `<p class="do">${code(hint)}</p>` : ""}<small>${file}</small></li>`;
      });
    const slug = slugOf(title);
    return `<section class="errors"><h2 id="${slug}">${title}<a class="anchor" href="#${slug}" aria-label="Link to this part">#</a></h2>
<p>${code(about)}</p>
<ul>${items.join("\n")}</ul></section>`;
  });
  return `<p class="find"><label for="message">Paste a message to find it</label>
<textarea id="message" rows="2" spellcheck="false" placeholder="Expected …"></textarea>
<output for="message" id="found"></output></p>
${groups.join("\n")}
<script>${FINDER}</script>`;
}

/**
 * Shows the sentences that a pasted message is made of, those with most words first, and hides the others. Without a whole
 * sentence it looks for the words.
 */
const FINDER = `
const items = [...document.querySelectorAll(".errors li")];
const field = document.getElementById("message");
const rank = (item) => Number(item.dataset.words);
field.addEventListener("input", () => {
  const message = field.value.trim().replace(/^(Uncaught )?\\w*Error( \\[\\w+\\])?: /, "");
  const words = message.toLowerCase().split(/\\s+/);
  let hits = items.filter((item) => rank(item) > 2 && new RegExp(item.dataset.find).test(message));
  const most = Math.max(0, ...hits.map(rank));
  hits = hits.filter((item) => 3 * rank(item) >= most);
  if (most < 4) hits = items.filter((item) => words.every((word) => item.textContent.toLowerCase().includes(word)));
  for (const item of items) item.hidden = message !== "" && !hits.includes(item);
  for (const item of items) item.classList.toggle("best", message !== "" && most >= 4 && rank(item) === most && hits.includes(item));
  for (const section of document.querySelectorAll(".errors")) {
    section.hidden = message !== "" && !section.querySelector("li:not([hidden])");
  }
  document.getElementById("found").textContent =
    message === "" ? "" : hits.length === 0 ? "No sentence of the package has these words." : hits.length + (hits.length === 1 ? " sentence" : " sentences");
});
`;
