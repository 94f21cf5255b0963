/** @module What every client of the matrix can be asked, whichever generation it is of. */
import type { Facts } from './facts.ts'

export type PushHook = { readonly url: string; readonly token: string }

export type RealClient = {
  /** Waits for the end of the task, unless `isLater`. */
  send(text: string, isLater?: boolean): Promise<Facts>
  stream(text: string): AsyncIterable<Facts>
  get(taskId: string): Promise<Facts>
  cancel(taskId: string): Promise<Facts>
  /** The events of a task that goes on. */
  subscribe(taskId: string): AsyncIterable<Facts>
  /** Ids of tasks; absent where the generation has no such method. */
  readonly list?: () => Promise<readonly string[]>
  /** Sets one, and says what it reads back: the URL. */
  pushSet(taskId: string, hook: PushHook): Promise<string>
}

export type RealClientKind = {
  readonly name: string
  /** `baseUrl` is where the workspace's card is below; rejects when there is no card to read. */
  connect(baseUrl: string): Promise<RealClient>
}
