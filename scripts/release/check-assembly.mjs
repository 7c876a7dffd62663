/**
 * Looks through the assembly text of our own code for what must not be in it:
 *
 * - calls that write to the terminal or end the process, which is not ours to end;
 * - on x86-64, instructions that not every processor of the baseline has, outside the functions that are chosen by what
 *   the processor has (those of the namespaces in `native/cpu/machine/targets/`).
 */

/** C's functions and streams; C++ streams by what their mangled names begin with. */
const FORBIDDEN = new Set(
  `printf fprintf vprintf vfprintf dprintf puts putchar putc fputs fputc fwrite fflush fopen perror psignal stdout stderr
  stdin __stdoutp __stderrp __acrt_iob_func __stdio_common_vfprintf exit _exit _Exit quick_exit abort raise kill
  __assert_fail __assert_rtn _assert _wassert`.split(/\s+/),
);
const FORBIDDEN_PREFIXES = /^_ZNSt3__1(4cout|4cerr|4clog|3cin)|^_ZNSt3__122__libcpp_verbose_abort/;

/** VEX and EVEX instructions, and those of BMI and its like, which need no vector register. */
const BEYOND_BASELINE =
  /^(v(?!err|erw|mcall|mlaunch|mresume|mxoff)\w+|andn|bextr|bls(i|r|msk)|bzhi|mulx|pdep|pext|rorx|sarx|shlx|shrx|lzcnt|tzcnt|movbe|adcx|adox|k(and|or|xor|not|mov|ortest|shift|unpck)\w*)[lqwbd]?$/;

/** A function of one instruction set has its namespace in its mangled name. */
const OF_TARGET = /13local_entropy(4avx2|6avx512)/;

/** A name as C has it: without what the format puts before or behind it. */
const plain = (word) => word.replace(/@.*$/, "").replace(/^__imp_/, "");

/**
 * @param text assembly, in the syntax that the compiler writes
 * @param platform of `PLATFORMS`
 * @returns sentences, one a fault
 */
export function checkAssembly(text, { os, cpu }) {
  const faults = new Set();
  let place = "";
  for (const line of text.split("\n")) {
    const label = /^"?([\w.$?@]+)"?:/.exec(line);
    if (label && !/^(\.?L|l_|ltmp)/.test(label[1])) place = label[1];
    const [, mnemonic, operands] = /^\t([a-z]\w*)\s*([^#]*)/.exec(line) ?? [];
    if (mnemonic === undefined) continue;
    for (const word of operands.match(/[A-Za-z_.$][\w.$@]*/g) ?? []) {
      const name = os === "darwin" ? plain(word).replace(/^_/, "") : plain(word);
      if (FORBIDDEN.has(name) || FORBIDDEN_PREFIXES.test(name)) faults.add(`${place} refers to ${name}`);
    }
    if (cpu !== "x64" || OF_TARGET.test(place)) continue;
    if (BEYOND_BASELINE.test(mnemonic) || /%[yz]mm/.test(operands)) {
      faults.add(`${place} has ${mnemonic}, which the baseline does not`);
    }
  }
  return [...faults];
}
