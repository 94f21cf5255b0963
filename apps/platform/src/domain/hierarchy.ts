/** @module Who may talk to whom (contract/platform 4.9): a pure rule over two lines of ancestors. */

/** Contract/platform 4.12: nothing walks further up. */
export const MAX_ANCESTOR_HOPS = 32

/**
 * A workspace and its ancestors, itself first, as far as they were walked; empty for one that is not
 * there. A line may repeat itself where rows are each other's parents.
 */
export type Lineage = readonly string[]

/**
 * A workspace talks to itself, to its siblings (roots are siblings), and up and down its own line.
 * One that is not there talks to nobody. Statuses do not matter.
 */
export function mayCommunicate(a: Lineage, b: Lineage): boolean {
  const [ownA, parentA] = a
  const [ownB, parentB] = b
  if (ownA === undefined || ownB === undefined) return false
  // Two roots have the same parent: none.
  return ownA === ownB || parentA === parentB || a.includes(ownB) || b.includes(ownA)
}
