/** What scripts do to keys while their calls are kept → the keys that these calls leave behind, and how their number grew. */

/** More keys are not followed, nor longer names, and then nothing is said of any: who leaves so many keeps them. */
const MAX_KEYS = 1 << 14;
const MAX_LEFT_BYTES = 48 * 1024;
const MAX_NAME_BYTES = 256;

/** A key that stays until somebody removes it. */
export interface LeftKey {
  db: number;
  name: string;
}

export class LeftKeys {
  /** Those that stay, and those that expire, by database and name. */
  private readonly lasting = new Map<string, LeftKey>();
  private readonly passing = new Set<string>();
  private bytes = 0;
  /** How many stayed when each of the calls came. */
  private readonly counts: number[] = [];
  private isLost = false;

  /** Another call is kept: what follows is what it does. */
  nextCall(): void {
    this.counts.push(this.lasting.size);
  }

  /** `makes`: also where there was none. `expires`: undefined where a key that is there keeps the expiry that it has. */
  write(db: number, name: string, makes: boolean, expires: boolean | undefined): void {
    const id = `${db} ${name}`;
    const isLasting = this.lasting.has(id);
    const isPassing = this.passing.has(id);
    if (this.isLost || (!isLasting && !isPassing && !makes)) return;
    if (expires ?? isPassing) {
      if (isLasting) this.remove(db, name);
      this.passing.add(id);
    } else if (!isLasting) {
      this.passing.delete(id);
      this.lasting.set(id, { db, name });
      this.bytes += name.length;
    }
    this.isLost =
      name.length > MAX_NAME_BYTES || this.bytes > MAX_LEFT_BYTES || this.lasting.size + this.passing.size > MAX_KEYS;
  }

  remove(db: number, name: string): void {
    const id = `${db} ${name}`;
    if (!this.passing.delete(id) && this.lasting.delete(id)) this.bytes -= name.length;
  }

  /** In the order in which they were made, and how many there were after a quarter of the calls, after half and in the end. */
  summary(): { keys: LeftKey[]; counts: [number, number, number] } | undefined {
    const { counts, lasting } = this;
    if (this.isLost || lasting.size === 0) return undefined;
    const at = (share: number) => counts[Math.floor(share * counts.length)]!;
    return { keys: [...lasting.values()], counts: [at(1 / 4), at(1 / 2), lasting.size] };
  }
}
