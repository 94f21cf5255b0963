/** @module vitest: one database server for all files of all projects, made when none was given. */
import { startTestCluster } from './test-cluster.ts'

/** The project that comes first starts the server; its teardown runs after every project's tests. */
export default async function setup(): Promise<() => Promise<void>> {
  return await startTestCluster()
}
