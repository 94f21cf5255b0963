/**
 * @module Transactions that lose their connection fail, and nothing else does. The driver goes on
 * writing to a connection that is gone (its ROLLBACK, the next query of the work, the COMMIT), which
 * is an exception of nobody's: it ended the process (postgres 3.4.9).
 */
import type postgres from 'postgres'
import { isConnectionLost } from './db-error.ts'

type Work = (tx: postgres.TransactionSql) => unknown

/** What is known of a transaction's connection. */
class Fate {
  readonly #lost = Promise.withResolvers<never>()
  #error: unknown

  constructor() {
    // Whoever began the transaction hears of it; nobody has to.
    this.#lost.promise.catch(() => undefined)
  }

  get isLost(): boolean {
    return this.#error !== undefined
  }

  get lost(): Promise<never> {
    return this.#lost.promise
  }

  lose(error: unknown): void {
    this.#error ??= error
    this.#lost.reject(error)
  }

  throwIfLost(): void {
    if (this.isLost) throw this.#error
  }
}

/** The same pool, whose transactions write nothing to a connection that is gone. */
export function withSurvivableTransactions(sql: postgres.Sql): postgres.Sql {
  return new Proxy(sql, {
    get(target, property) {
      if (property !== 'begin') return Reflect.get(target, property)
      return (...args: readonly unknown[]) => begin(target, args)
    },
  })
}

async function begin(sql: postgres.Sql, args: readonly unknown[]): Promise<unknown> {
  const fate = new Fate()
  const passed = [...args.slice(0, -1), guarded(args.at(-1), fate)]
  // The driver's overloads, passed through as they came.
  const begun: Promise<unknown> = Reflect.apply(sql.begin, sql, passed)
  // Rejected by the driver when the connection closes, whatever the work does at that moment.
  begun.catch((error: unknown) => fate.lose(error))
  return Promise.race([begun, fate.lost])
}

/** The work, which never comes to an end on a connection that is gone: so nothing is written there. */
function guarded(work: unknown, fate: Fate): Work {
  return async (tx) => {
    const { promise: forEver } = Promise.withResolvers<never>()
    try {
      if (typeof work !== 'function') throw new TypeError('a transaction needs its work')
      const result: unknown = await work(fenced(tx, fate))
      return fate.isLost ? forEver : result
    } catch (error) {
      if (isConnectionLost(error)) fate.lose(error)
      if (fate.isLost) return forEver
      throw error
    }
  }
}

function fenced(tx: postgres.TransactionSql, fate: Fate): postgres.TransactionSql {
  return new Proxy(tx, {
    apply(target, thisArgument, args) {
      fate.throwIfLost()
      return Reflect.apply(target, thisArgument, args)
    },
    get(target, property) {
      const value: unknown = Reflect.get(target, property)
      if (typeof value !== 'function') return value
      return (...args: readonly unknown[]) => {
        fate.throwIfLost()
        const passed =
          property === 'savepoint' ? [...args.slice(0, -1), guarded(args.at(-1), fate)] : args
        return Reflect.apply(value, target, passed)
      }
    },
  })
}
