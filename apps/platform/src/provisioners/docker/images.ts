/** @module Which image a runtime kind runs, and how it gets to the engine. */
import type { Engine } from './engine.ts'
import { unlessMissing } from './engine.ts'

export type ImageTable = {
  readonly fallback: string
  /** By runtime kind. */
  readonly byKind: Readonly<Record<string, string>>
  /** `never`: what the engine does not have cannot be started. */
  readonly pull: 'never' | 'missing'
}

/** The workspace runtime of this repository, under the name that `npm run image` gives it. */
export const DEFAULT_IMAGE = 'atrium-workspace-runtime:latest'

export function imageFor(table: ImageTable, runtimeKind: string): string {
  return Object.hasOwn(table.byKind, runtimeKind)
    ? (table.byKind[runtimeKind] ?? table.fallback)
    : table.fallback
}

/** Asks a registry only when the configuration says so and the engine does not have the image. */
export async function pullIfMissing(
  { engine, images }: { readonly engine: Engine; readonly images: ImageTable },
  image: string,
  signal: AbortSignal,
): Promise<void> {
  if (images.pull === 'never') return
  if ((await unlessMissing(engine.calls.getImage(image).inspect())) !== undefined) return
  const progress = await engine.streams.pull(withTag(image), { abortSignal: signal })
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  engine.streams.modem.followProgress(progress, (error: Error | null) =>
    error === null ? resolve() : reject(error),
  )
  await promise
}

/** Without a tag the engine would fetch every one there is. */
function withTag(image: string): string {
  return /[:@][^/]*$/.test(image) ? image : `${image}:latest`
}
