/** @module The network of all boxes (contract/platform 7.4). */
import type { NetworkInspectInfo } from 'dockerode'
import { NETWORK_NAME } from './box-names.ts'
import { type Engine, unlessMissing, unlessStatus } from './engine.ts'

const inProgress = new WeakMap<Engine, Promise<void>>()

/**
 * Makes the network where it is missing. An engine lets two who ask at the same moment have one each
 * of the same name, and then starts nothing on either: whoever sees that leaves one.
 */
export function ensureNetwork(engine: Engine, name = NETWORK_NAME): Promise<void> {
  const ensured =
    inProgress.get(engine) ?? ensureOnce(engine, name).finally(() => inProgress.delete(engine))
  inProgress.set(engine, ensured)
  return ensured
}

async function ensureOnce(engine: Engine, name: string): Promise<void> {
  const found = await networksNamed(engine, name)
  if (found.length === 0) await createNetwork(engine, name)
  if (found.length !== 1) await leaveOne(engine, await networksNamed(engine, name))
}

async function createNetwork(engine: Engine, name: string): Promise<void> {
  const created = engine.calls.createNetwork({
    Name: name,
    Driver: 'bridge',
    CheckDuplicate: true,
    // Whatever is published without an address is published on loopback.
    Options: { 'com.docker.network.bridge.host_binding_ipv4': '127.0.0.1' },
  })
  // Another replica was faster.
  await unlessStatus(created, [409])
}

/** All see them in the same order, so all leave the same one. */
async function leaveOne(engine: Engine, networks: readonly NetworkInspectInfo[]): Promise<void> {
  let left = networks.length
  for (const { Id } of networks) {
    if (left > 1 && (await isRemoved(engine, Id))) left -= 1
  }
}

async function isRemoved(engine: Engine, id: string): Promise<boolean> {
  const removal = engine.calls.getNetwork(id).remove()
  const removed = unlessMissing(removal).then(() => true)
  // A box runs on it.
  return (await unlessStatus(removed, [403])) ?? false
}

async function networksNamed(engine: Engine, name: string): Promise<readonly NetworkInspectInfo[]> {
  // The engine's filter takes a part of a name for it.
  const listing: Promise<NetworkInspectInfo[]> = engine.calls.listNetworks({
    filters: { name: [name] },
  })
  return (await listing)
    .filter(({ Name }) => Name === name)
    .sort((one, other) => one.Id.localeCompare(other.Id))
}
