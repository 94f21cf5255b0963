/** @module The same attempt again and again, several at a time: what a race needs to be lost. */

export const IN_FLIGHT = 8
/** How long it goes on at most until enough was met. */
const CEILING_MS = 20_000

/**
 * Runs `attempt` again and again, `IN_FLIGHT` at a time: for so long and until `isEnough`, or until
 * it returns true.
 */
export async function hammer(
  forMs: number,
  attempt: () => Promise<boolean>,
  isEnough: () => boolean = () => true,
): Promise<void> {
  const startedAt = performance.now()
  let isOver = false
  function isDue(): boolean {
    const elapsedMs = performance.now() - startedAt
    return elapsedMs < forMs || (elapsedMs < CEILING_MS && !isEnough())
  }
  async function worker(): Promise<void> {
    while (!isOver && isDue()) isOver = (await attempt()) || isOver
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, worker))
}
