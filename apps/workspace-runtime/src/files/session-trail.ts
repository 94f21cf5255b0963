/**
 * @module The way through a session's folder, links included, without ever leaving it: what the
 * kernel's RESOLVE_BENEATH does, and in place of an error for every step above, a look at whether
 * the way comes back (contract/runtime 20.2). Pure: it is told what lies there, and says what to
 * look at next.
 */

/** All names are bytes in Latin-1, see `ByteName`. */
export type TrailStep =
  /** Look up one name in the folder that `names` lead to. */
  | { readonly kind: 'enter'; readonly name: string }
  | { readonly kind: 'arrived' }
  | { readonly kind: 'escaped' }
  | { readonly kind: 'lost' }

/** As the kernel: a 41st link is a loop. */
const MAX_LINKS = 40
/** Names looked up: a path has at most 2,048, and forty links as many each. */
const MAX_STEPS = 10_000
/** Nothing below so many folders has a path that the kernel would tell (PATH_MAX). */
const MAX_DEPTH = 2_048

export class SessionTrail {
  /** Names from `/` to the session's folder: what leads back into it. */
  readonly #home: readonly string[]
  /** Names from the session's folder to where the trail is, none of them a link. */
  readonly #names: string[] = []
  /** What is still to be walked, last name first. */
  readonly #rest: string[] = []
  /** How far above the session's folder the trail is; nothing is looked at there. */
  #above = 0
  #links = 0
  #steps = 0
  /** Whether it went up since it looked at anything. */
  #hasTurned = false

  /**
   * `realPath`: what the kernel calls the session's folder. Of absolute links only those that spell
   * it so come back; one through another name of a folder above it leads out.
   */
  constructor(realPath: string, segments: readonly string[]) {
    this.#home = componentsOf(realPath)
    this.#prepend(segments)
  }

  get names(): readonly string[] {
    return this.#names
  }

  /** Whether there is more to walk behind what was entered last. */
  get hasMore(): boolean {
    return this.#rest.length > 0
  }

  /** What to do next. Answer an `enter` with `entered`, `followed`, or by giving up. */
  next(): TrailStep {
    for (let name = this.#rest.pop(); name !== undefined; name = this.#rest.pop()) {
      if (this.#isTooFar(1)) return { kind: 'lost' }
      if (name === '..') this.#leave()
      else if (this.#above === 0) return this.#lookedAt({ kind: 'enter', name })
      else if (!this.#comesBackBy(name)) return { kind: 'escaped' }
    }
    return this.#above === 0 ? this.#lookedAt({ kind: 'arrived' }) : { kind: 'escaped' }
  }

  /** The name is there, and is no link. */
  entered(name: string): void {
    this.#names.push(name)
  }

  /** The name is a link. False when there were too many of them. */
  followed(target: string): boolean {
    this.#links += 1
    if (this.#links > MAX_LINKS) return false
    if (target.startsWith('/')) {
      this.#names.length = 0
      this.#hasTurned = true
      this.#above = this.#home.length
    }
    this.#prepend(componentsOf(target))
    return true
  }

  #comesBackBy(name: string): boolean {
    if (name !== this.#home.at(-this.#above)) return false
    this.#above -= 1
    return true
  }

  /**
   * Whoever turned back comes down again from the session's folder, name by name. That counts as
   * well: a target of eight hundred `x/..`, far down, would otherwise be a million names.
   */
  #lookedAt(step: TrailStep): TrailStep {
    const again = this.#hasTurned ? this.#names.length : 0
    this.#hasTurned = false
    return this.#isTooFar(again) ? { kind: 'lost' } : step
  }

  #isTooFar(steps: number): boolean {
    this.#steps += steps
    return this.#steps > MAX_STEPS || this.#names.length > MAX_DEPTH
  }

  #leave(): void {
    this.#hasTurned = true
    if (this.#names.pop() !== undefined) return
    // `/..` is `/`.
    this.#above = Math.min(this.#above + 1, this.#home.length)
  }

  #prepend(names: readonly string[]): void {
    for (const name of names.toReversed()) this.#rest.push(name)
  }
}

function componentsOf(path: string): string[] {
  return path.split('/').filter((name) => name !== '' && name !== '.')
}
