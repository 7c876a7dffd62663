/**
 * Cells: what is a number, what is missing.
 */

/** The sign that parts a number's whole from its fraction. */
export type Decimal = "." | ",";

const NUMBERS = {
  ".": /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/,
  ",": /^[+-]?(?:\d+,?\d*|,\d+)(?:[eE][+-]?\d+)?$/,
} as const;

/** The number that a text is as a whole; null for any other text. */
export function numberIn(text: string, decimal: Decimal): number | null {
  if (!NUMBERS[decimal].test(text)) return null;
  return Number(decimal === "," ? text.replace(",", ".") : text);
}

/** What stands for no value in a column of numbers. Among names these are names: NA is Namibia. */
export const NO_NUMBERS = new Set(["NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "?", "-"]);

/** What seems to be a number and is none under this decimal sign: why, and what to do; else null. */
export function nearlyNumber(text: string, decimal: Decimal): string | null {
  if (numberIn(text, decimal) !== null) return null;
  const other = decimal === "." ? "," : ".";
  if (/^[+-]?\d{1,3}(?:[ ,.'\u00a0\u202f]\d{3})+(?:[.,]\d+)?$/.test(text)) {
    const isOther = new RegExp(`\\d[${other}]\\d+$`).test(text);
    return `take out what parts its thousands${isOther ? `, or where "${other}" is its decimal sign say decimal: "${other}"` : ""}`;
  }
  if (numberIn(text, other) !== null) return `say decimal: "${other}"`;
  if (/^[+-]?inf(?:inity)?$/i.test(text)) return "leave the row out, or the cell empty";
  return null;
}
