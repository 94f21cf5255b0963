/** @module Lines of a text that keeps its final line end. */

/** The last `count` lines of a text. */
export function lastLines(text: string, count: number): string {
  const hasEnd = text.endsWith('\n')
  const lines = (hasEnd ? text.slice(0, -1) : text).split('\n')
  return lines.slice(-count).join('\n') + (hasEnd ? '\n' : '')
}

/** The first `count` lines of a text, and how many those are; an unfinished one is none yet. */
export function firstLines(
  text: string,
  count: number,
): { readonly text: string; readonly finished: number } {
  let end = 0
  for (let finished = 0; finished < count; finished += 1) {
    const feed = text.indexOf('\n', end)
    if (feed < 0) return { text, finished }
    end = feed + 1
  }
  return { text: text.slice(0, end), finished: count }
}
