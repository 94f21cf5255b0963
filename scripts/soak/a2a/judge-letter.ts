/** @module Whether what one sender was told is what its agent has done. Pure. */
import type { Letter } from './sender.ts'

/** Ends that say: your agent has never seen it. */
const NEVER_SEEN = /^(expired|dropped)\b/

/** What there is most of when a workspace stays away. */
export const NO_ENDING = 'no ending'

/** Everything that is wrong, in words; `begun` is how often the agent has begun to carry it out. */
export function problemsOf(letter: Letter, begun: number): string[] {
  const { messageId, ending, heard } = letter
  const twice = begun > 1 ? [`carried out ${begun} times`] : []
  if (ending === undefined) return [...twice, `${NO_ENDING}; heard last: ${heard}`]
  if (ending.kind === 'failed') {
    const isWrong = NEVER_SEEN.test(ending.reason) && begun > 0
    return isWrong ? [...twice, `was carried out, and its sender told ${ending.reason}`] : twice
  }
  if (ending.text !== `did ${messageId}` && ending.text !== `was cut off at ${messageId}`) {
    return [...twice, `answered with what is somebody else's: ${ending.text}`]
  }
  return begun === 0 ? ['answered, and nobody has carried it out'] : twice
}
