/** The report's style sheet: one column on a telephone, two on a desk; light and dark as the reader's system. */
export const STYLE = `
:root {
  --paper: #fbfaf8; --card: #ffffff; --ink: #1d2127; --quiet: #6a717c; --line: #e6e3de; --cell: #f3f1ed;
  --first: #3b6ed9; --second: #de6824; --on-first: #ffffff; --plot-background: var(--card);
  color-scheme: light dark;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #131518; --card: #1a1d21; --ink: #e8e6e2; --quiet: #9aa1ab; --line: #2b2f35; --cell: #22262b;
    --first: #6f9bff; --second: #f08a4b; --on-first: #0d1016;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  -webkit-text-size-adjust: 100%;
}
main { max-width: 1040px; margin: 0 auto; padding: 48px 20px 64px; }
header { margin-bottom: 36px; }
.eyebrow { margin: 0 0 4px; color: var(--quiet); font-size: 13px; letter-spacing: .04em; }
h1 { margin: 0 0 10px; font-size: clamp(30px, 6vw, 46px); font-weight: 650; line-height: 1.1; letter-spacing: -.02em; }
.summary { margin: 0; max-width: 44em; color: var(--quiet); font-size: 16px; }
h2 { display: flex; flex-wrap: wrap; align-items: baseline; gap: 4px 14px; margin: 0 0 10px; font-size: 15px; font-weight: 600; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 400px), 1fr)); gap: 18px; }
figure, .facts > div {
  margin: 0; padding: 18px 18px 14px; min-width: 0;
  background: var(--card); border: 1px solid var(--line); border-radius: 10px;
}
figure svg { display: block; width: 100%; height: auto; color: var(--ink); font-variant-numeric: tabular-nums; }
figure img.weights { display: block; width: 100%; height: auto; image-rendering: pixelated; }
figcaption { margin-top: 10px; color: var(--quiet); font-size: 13px; line-height: 1.45; }
.key { font-size: 13px; font-weight: 400; color: var(--quiet); }
.key::before { content: ""; display: inline-block; width: 14px; height: 3px; margin-right: 6px; border-radius: 2px; vertical-align: middle; }
.key-1::before { background: var(--first); }
.key-2::before { background: var(--second); }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 400px), 1fr)); gap: 18px; margin-top: 18px; align-items: start; }
table { width: 100%; border-collapse: collapse; font-size: 13px; }
th, td { padding: 5px 0; border-top: 1px solid var(--line); text-align: left; vertical-align: top; font-weight: 400; }
tr:first-child > * { border-top: 0; }
th { padding-right: 16px; color: var(--quiet); white-space: nowrap; }
td { overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
@media (max-width: 480px) { main { padding: 28px 12px 40px; } figure, .facts > div { padding: 14px 12px 12px; } th { white-space: normal; } }
`;
