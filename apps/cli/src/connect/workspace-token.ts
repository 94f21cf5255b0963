/** @module The token that `atrium connect` presents: from a file, the environment, or freshly minted. */
import { readFile } from 'node:fs/promises'
import type { Secret } from '@atrium/http-kit/secret'
import { credential } from '../config.ts'
import { reasonOf, usageFailure } from '../failure.ts'
import type { TokenSource } from './platform-link.ts'

/** A token that is what it is. */
export function fixedToken(token: Secret): TokenSource {
  return { current: () => token, refresh: () => Promise.resolve(false) }
}

/** A token in a file, read again when the platform does not take it: it may have been replaced. */
export async function tokenInFile(path: string): Promise<TokenSource> {
  let token = await readToken(path)
  return {
    current: () => token,
    async refresh(refused) {
      // Of several requests that were refused at once, the first has read the next one for all.
      if (token === refused) token = await readToken(path)
      return token.reveal() !== refused.reveal()
    },
  }
}

async function readToken(path: string): Promise<Secret> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (thrown) {
    throw usageFailure(`cannot read the token in ${path}: ${reasonOf(thrown)}`)
  }
  const token = credential(text, path)
  if (token === undefined) throw usageFailure(`there is no token in ${path}`)
  return token
}
