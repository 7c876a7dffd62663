/**
 * Whether the threads of a team save more than they cost. Beside other programs a thread can be stopped in the middle
 * of its share, and the others wait for it for milliseconds; one thread alone is then as fast, or faster. Results do not
 * depend on it.
 *
 * A team whose threads never have to block for each other, as on a quiet machine, is not looked into.
 */

/** Updates and the milliseconds that they took, older ones with less weight. */
class Pace {
  updates = 0;
  #milliseconds = 0;

  add(updates: number, milliseconds: number): void {
    this.updates = this.updates / 4 + updates;
    this.#milliseconds = this.#milliseconds / 4 + milliseconds;
  }

  beats(other: Pace): boolean {
    return this.updates * other.#milliseconds > other.updates * this.#milliseconds;
  }
}

/** Milliseconds that are weighed together: some turns of the system's scheduler. */
const LEAST = 20;
/** Rests of a team, as multiples of the time that was weighed: the first is short, since kernels that are not yet compiled in full are weighed too. */
const REST = { first: 2, longest: 128, growth: 4 } as const;
/** Milliseconds a blocked wait, on an average, from which on a team is looked into. */
const RARE = 20;

export class Worth {
  /** Whether the next updates are to be done on one thread. */
  alone = false;
  readonly #team = new Pace();
  readonly #alone = new Pace();
  #updates = 0;
  #milliseconds = 0;
  #blocked = 0;
  /** Not before kernels are compiled in full and all threads have come. */
  #begun = false;
  #enough = LEAST;
  #rest: number = REST.first;

  /** Some updates are done. @param blocked how often a thread had to block for the others */
  count(updates: number, milliseconds: number, blocked: number): void {
    this.#updates += updates;
    this.#milliseconds += milliseconds;
    this.#blocked += blocked;
    const took = this.#milliseconds;
    if (took < this.#enough) return;
    this.#enough = LEAST;
    if (!this.#begun) {
      this.#begun = true;
    } else if (this.alone) {
      const tried = this.#alone.updates === 0;
      this.#alone.add(this.#updates, took);
      this.alone = tried && this.#alone.beats(this.#team);
      if (this.alone) this.#enough = this.#rest * took;
    } else {
      this.#team.add(this.#updates, took);
      const suspect = RARE * this.#blocked > took;
      const untried = this.#alone.updates === 0;
      this.alone = suspect && (untried || this.#alone.beats(this.#team));
      if (this.alone) this.#enough = untried ? took : this.#rest * took;
      this.#rest = this.alone
        ? Math.min(REST.growth * this.#rest, REST.longest)
        : Math.max(this.#rest / REST.growth, REST.first);
    }
    this.#updates = this.#milliseconds = this.#blocked = 0;
  }
}
