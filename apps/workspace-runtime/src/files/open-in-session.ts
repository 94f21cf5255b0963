/**
 * @module What a path in the folder of a session names, links followed while they stay inside
 * (contract/runtime 20.2). Descriptor by descriptor as `walk-contained.ts`; where a link leads is
 * walked in the same way, by us and not by the kernel, so that nothing outside is touched.
 */
import { type BigIntStats, closeSync, constants } from 'node:fs'
import { AppError } from '@atrium/http-kit/app-error'
import { errorCodeOf, hasErrorCode } from '@atrium/http-kit/error-code'
import {
  NO_FOLDER_TEXT,
  NOT_FOUND_TEXT,
  type SessionId,
  type SessionPath,
} from '@atrium/path-safety/session-path'
import { isHiddenUploadName } from '@atrium/path-safety/workspace-path'
import { SESSIONS_ROOT } from '@atrium/runtime-contract/file-inspection'
import type { ContainedRoots } from './contained-roots.ts'
import {
  bytesOf,
  currentBytesPathOf,
  O_PATH,
  openBytesAt,
  readLinkAt,
  reopen,
  statOf,
  textOf,
} from './descriptor.ts'
import { type OpenedFile, openFileOf } from './open-contained-file.ts'
import { type OpenedFolder, openFolderOf } from './open-contained-folder.ts'
import { SessionTrail } from './session-trail.ts'
import { MAX_WALKS, type Wanted } from './walk-contained.ts'

export type SessionTarget = {
  readonly session: SessionId
  readonly path: SessionPath
  readonly signal?: AbortSignal | undefined
}

/** See `ContainedRoots.openSessionFile`. */
export function openSessionFile(roots: ContainedRoots, target: SessionTarget): Promise<OpenedFile> {
  return openInSession(roots, target, {
    judge(stat) {
      if (stat.isDirectory()) throw new AppError('is_a_directory')
      if (!stat.isFile()) throw new AppError('not_a_regular_file')
      if (roots.isCredential(stat)) throw notFound()
    },
    open: (named) => openFileOf(named, target.path.segments.at(-1) ?? ''),
  })
}

/** See `ContainedRoots.openSessionFolder`. */
export function openSessionFolder(
  roots: ContainedRoots,
  target: SessionTarget,
): Promise<OpenedFolder> {
  return openInSession(roots, target, {
    judge(stat) {
      if (!stat.isDirectory()) throw new AppError('not_a_directory')
    },
    open: (named, realPath) =>
      openFolderOf(named, {
        isHidden: isHiddenUploadName,
        isInPlace: (fd) => currentBytesPathOf(fd) === realPath,
      }),
  })
}

type Session = { readonly fd: number; readonly realPath: string }

async function openInSession<Opened>(
  roots: ContainedRoots,
  { session, path, signal }: SessionTarget,
  wanted: Wanted<Opened>,
): Promise<Opened> {
  for (let walk = 0; walk < MAX_WALKS; walk += 1) {
    signal?.throwIfAborted()
    const held = await pinSession(roots, session)
    try {
      const opened = await walkAndOpen(held, path, wanted)
      if (opened !== 'moved') return opened
    } finally {
      closeSync(held.fd)
    }
  }
  throw notFound()
}

/** The session's folder, which is no link, held open; the caller closes it. */
async function pinSession(roots: ContainedRoots, session: SessionId): Promise<Session> {
  const root = roots.find(SESSIONS_ROOT)
  if (root === undefined) throw workspaceNotFound()
  try {
    const fd = await openBytesAt(root.fd, session, O_PATH | constants.O_DIRECTORY)
    return { fd, realPath: `${bytesOf(root.realPath)}/${session}` }
  } catch (error) {
    if (hasErrorCode(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) throw workspaceNotFound()
    throw toAppError(error)
  }
}

async function walkAndOpen<Opened>(
  session: Session,
  { segments }: SessionPath,
  wanted: Wanted<Opened>,
): Promise<Opened | 'moved'> {
  const trail = new SessionTrail(session.realPath, segments.map(bytesOf))
  let named: number | undefined
  try {
    named = await walk(session, trail)
    wanted.judge(statOf(named))
    // As in `walk-contained.ts`; also says that the session's folder is where sessions are.
    const realPath = [session.realPath, ...trail.names].join('/')
    if (currentBytesPathOf(named) !== realPath) return 'moved'
    return await wanted.open(named, realPath)
  } catch (error) {
    // The name was a link, and is none any more.
    if (hasErrorCode(error, 'EINVAL')) return 'moved'
    throw toAppError(error)
  } finally {
    if (named !== undefined) closeSync(named)
  }
}

/** An O_PATH descriptor of where the trail ends, which the caller closes. */
async function walk(session: Session, trail: SessionTrail): Promise<number> {
  const place = new Place(session.fd)
  try {
    for (;;) {
      const step = trail.next()
      if (step.kind === 'escaped') throw new AppError('path_escape')
      if (step.kind === 'lost') throw notFound()
      await place.goTo(trail.names)
      if (step.kind === 'arrived') return await place.take()
      if (isHiddenUploadName(textOf(step.name))) throw notFound()
      await look(place, trail, step.name)
    }
  } finally {
    place.leave()
  }
}

/** Enters what is under the name, or learns where the link leads. */
async function look(place: Place, trail: SessionTrail, name: string): Promise<void> {
  const fd = await openBytesAt(place.fd, name, O_PATH)
  let stat: BigIntStats
  try {
    stat = statOf(fd)
    if (!stat.isSymbolicLink()) {
      if (trail.hasMore && !stat.isDirectory()) throw notFound()
      trail.entered(name)
      place.enter(fd, name)
      return
    }
  } catch (error) {
    closeSync(fd)
    throw error
  }
  closeSync(fd)
  // Node reads no link through its own descriptor. By the name it may be another one by now, which
  // is walked with the same care.
  if (!trail.followed(await readLinkAt(place.fd, name))) throw notFound()
}

/**
 * The folder that a trail is in. One descriptor is held, however deep: whoever turns back comes
 * down again from the session's folder, name by name and through no link.
 */
class Place {
  readonly #session: number
  #names: string[] = []
  #held: number | undefined

  constructor(session: number) {
    this.#session = session
  }

  get fd(): number {
    return this.#held ?? this.#session
  }

  /** Takes over the descriptor of what is under the name. */
  enter(fd: number, name: string): void {
    if (this.#held !== undefined) closeSync(this.#held)
    this.#held = fd
    this.#names.push(name)
  }

  async goTo(names: readonly string[]): Promise<void> {
    if (isSame(this.#names, names)) return
    this.leave()
    for (const name of names) {
      this.enter(await openBytesAt(this.fd, name, O_PATH | constants.O_DIRECTORY), name)
    }
  }

  /** Gives the descriptor to the caller; the session's own stays where it is. */
  async take(): Promise<number> {
    const taken = this.#held ?? (await reopen(this.#session, O_PATH))
    this.#held = undefined
    return taken
  }

  leave(): void {
    if (this.#held !== undefined) closeSync(this.#held)
    this.#held = undefined
    this.#names = []
  }
}

function isSame(some: readonly string[], others: readonly string[]): boolean {
  return some.length === others.length && some.every((name, index) => name === others[index])
}

// The contract's words (20.4).
function notFound(): AppError {
  return new AppError('not_found', { message: NOT_FOUND_TEXT })
}

function workspaceNotFound(): AppError {
  return new AppError('workspace_not_found', { message: NO_FOLDER_TEXT })
}

function toAppError(error: unknown): unknown {
  if (error instanceof AppError) return error
  switch (errorCodeOf(error)) {
    case 'ENOENT':
    case 'ENOTDIR':
    case 'ELOOP':
    case 'ENAMETOOLONG':
      return notFound()
    case 'ENXIO':
      return new AppError('not_a_regular_file')
    case 'EACCES':
    case 'EPERM':
      return new AppError('file_forbidden')
    default:
      return new AppError('stat_failed', { cause: error })
  }
}
