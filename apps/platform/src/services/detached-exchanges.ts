/** @module Exchanges with agents that go on without their callers: bounded, or leaving would be free. */

/** Of request bodies, which stay in memory until the agent has answered. */
const MAX_BYTES = 64 * 1024 * 1024
/** What an exchange costs besides, however short its body is. */
const BASE_BYTES = 64 * 1024

export class DetachedExchanges {
  #bytes = 0

  /**
   * Runs `work`, which goes on when `caller` is aborted. Its own signal is aborted then only when
   * those that go on already hold too much.
   */
  async run<T>(
    caller: AbortSignal,
    bodyBytes: number,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const cost = bodyBytes + BASE_BYTES
    const givenUp = new AbortController()
    let heldBytes = 0
    const onLeft = (): void => {
      if (this.#bytes + cost > MAX_BYTES) {
        givenUp.abort(caller.reason)
        return
      }
      heldBytes = cost
      this.#bytes += cost
    }
    if (caller.aborted) onLeft()
    else caller.addEventListener('abort', onLeft, { once: true })
    try {
      return await work(givenUp.signal)
    } finally {
      caller.removeEventListener('abort', onLeft)
      this.#bytes -= heldBytes
    }
  }
}
