/**
 * The progress of a run on stderr: one line that is drawn again on a terminal, a plain line now and then elsewhere.
 */
import { seesDriver } from "../backends/addon/platform.ts";
import type { BackendReport, TrainRecord } from "../run.ts";

const integers = new Intl.NumberFormat("en-US");
const BAR = 16;
/** Milliseconds between two plain lines. */
const PLAIN_INTERVAL = 10_000;

/** Seconds as 0:09, 12:05 or 1:02:03. */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.ceil(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (value: number) => String(value).padStart(2, "0");
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/** What a record says, in the order of the line. */
export function phrases(record: TrainRecord, updates: number, accuracy: number | undefined): string[] {
  const { update, loss, effectiveSampleSize, updatesPerSecond } = record;
  const said = [`${integers.format(update)}/${integers.format(updates)}`, `loss ${loss.toPrecision(3)}`];
  if (accuracy !== undefined) said.push(`accuracy ${(100 * accuracy).toFixed(2)} %`);
  if (effectiveSampleSize !== undefined) said.push(`ESS ${integers.format(Math.round(effectiveSampleSize))}`);
  said.push(`${integers.format(Number(updatesPerSecond.toPrecision(3)))}/s`);
  said.push(`${clock((updates - update) / updatesPerSecond)} left`);
  return said;
}

/** Which better backends were declined for the one that runs, and why in a few words; "" if none was. */
export function declinedLine({ name, declined }: BackendReport): string {
  const better = declined
    // Most machines have no GPU, which is nothing to tell of.
    .filter((one) => one.name !== name && (one.name !== "cuda" || seesDriver()))
    .map((one) => `${one.name} (${one.reason.split("\n")[0]})`);
  if (better.length === 0) return "";
  return `Declined for ${name}: ${better.join(", ")}; \`local-entropy doctor\` says what to do`;
}

export class Progress {
  readonly #stream: NodeJS.WriteStream;
  readonly #updates: number;
  readonly #quiet: boolean;
  #accuracy: number | undefined;
  #lastPlain = Number.NEGATIVE_INFINITY;
  #drawn = false;
  #declined = "";

  constructor(updates: number, { stream, quiet }: { stream: NodeJS.WriteStream; quiet: boolean }) {
    this.#updates = updates;
    this.#stream = stream;
    this.#quiet = quiet;
  }

  record(record: TrainRecord): void {
    if (this.#quiet) return;
    this.#accuracy = record.validationAccuracy ?? record.testAccuracy ?? this.#accuracy;
    const said = phrases(record, this.#updates, this.#accuracy);
    if (this.#stream.isTTY) {
      const full = Math.round((BAR * record.update) / this.#updates);
      const line = `${"━".repeat(full)}${"─".repeat(BAR - full)} ${said.join("  ")}`;
      this.#stream.write(`\r\x1b[K${line.slice(0, Math.max(0, (this.#stream.columns ?? 80) - 1))}`);
      this.#drawn = true;
    } else if (performance.now() - this.#lastPlain >= PLAIN_INTERVAL) {
      this.#lastPlain = performance.now();
      this.#stream.write(`${said.join(", ")}\n`);
    }
  }

  /** Tells of better backends that were declined, once: a backend that does not start may give way after the beginning. */
  declined(backend: BackendReport): void {
    const line = declinedLine(backend);
    if (!this.#quiet && line !== this.#declined) this.note(line);
    this.#declined = line;
  }

  /** Tells of a record's warning. */
  warning({ warning }: TrainRecord): void {
    if (!this.#quiet && warning !== undefined) this.note(warning);
  }

  /** A sentence on a line of its own. */
  note(sentence: string): void {
    this.end();
    this.#stream.write(`${sentence}\n`);
  }

  /** Leaves the line that is drawn. */
  end(): void {
    if (this.#drawn) this.#stream.write("\n");
    this.#drawn = false;
  }
}
