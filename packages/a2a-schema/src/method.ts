/**
 * @module What is known about an A2A method by its name. The grammars are disjoint, so the name alone
 * decides the dialect of a request (contract/a2a 1.1); the names that 0.1 shares with 0.3 count as 0.3.
 */

export type Dialect = '0.1' | '0.3' | '1.0' | 'unknown'

/** A dialect that can be spoken, as opposed to one that a name failed to tell. */
export type SpokenDialect = Exclude<Dialect, 'unknown'>

/** What a method does, whatever it is called. */
export type Operation =
  | 'send'
  | 'stream'
  | 'get'
  | 'list'
  | 'cancel'
  | 'subscribe'
  | 'push_set'
  | 'push_get'
  | 'push_list'
  | 'push_delete'
  | 'extended_card'

export type MethodTraits = {
  readonly dialect: Dialect
  /** Undefined for a method that nobody specified. */
  readonly operation: Operation | undefined
  /** Whether a successful answer is a stream of server-sent events. */
  readonly isStreaming: boolean
  /** Whether `params.message` is the payload, so that it is normalised and checked. */
  readonly carriesMessage: boolean
}

const NAMES: Readonly<Record<Operation, Partial<Record<SpokenDialect, string>>>> = {
  send: { '0.1': 'tasks/send', '0.3': 'message/send', '1.0': 'SendMessage' },
  stream: { '0.1': 'tasks/sendSubscribe', '0.3': 'message/stream', '1.0': 'SendStreamingMessage' },
  get: { '0.1': 'tasks/get', '0.3': 'tasks/get', '1.0': 'GetTask' },
  // Of 0.3 only the REST table has it (contract/a2a 1.1): no genuine agent answers `tasks/list`.
  list: { '1.0': 'ListTasks' },
  cancel: { '0.1': 'tasks/cancel', '0.3': 'tasks/cancel', '1.0': 'CancelTask' },
  subscribe: { '0.1': 'tasks/resubscribe', '0.3': 'tasks/resubscribe', '1.0': 'SubscribeToTask' },
  push_set: {
    '0.1': 'tasks/pushNotification/set',
    '0.3': 'tasks/pushNotificationConfig/set',
    '1.0': 'CreateTaskPushNotificationConfig',
  },
  push_get: {
    '0.1': 'tasks/pushNotification/get',
    '0.3': 'tasks/pushNotificationConfig/get',
    '1.0': 'GetTaskPushNotificationConfig',
  },
  push_list: {
    '0.3': 'tasks/pushNotificationConfig/list',
    '1.0': 'ListTaskPushNotificationConfigs',
  },
  push_delete: {
    '0.3': 'tasks/pushNotificationConfig/delete',
    '1.0': 'DeleteTaskPushNotificationConfig',
  },
  extended_card: { '0.3': 'agent/getAuthenticatedExtendedCard', '1.0': 'GetExtendedAgentCard' },
}

export const OPERATIONS: readonly Operation[] = [
  'send',
  'stream',
  'get',
  'list',
  'cancel',
  'subscribe',
  'push_set',
  'push_get',
  'push_list',
  'push_delete',
  'extended_card',
]

// In this order a shared name ends up as the younger dialect's.
const DIALECTS: readonly SpokenDialect[] = ['0.1', '0.3', '1.0']

function traitsOf(operation: Operation, dialect: SpokenDialect): MethodTraits {
  return {
    dialect,
    operation,
    isStreaming: operation === 'stream' || operation === 'subscribe',
    carriesMessage: operation === 'send' || operation === 'stream',
  }
}

function traitsByName(): ReadonlyMap<string, MethodTraits> {
  const traits = new Map<string, MethodTraits>([['tasks/list', traitsOf('list', '0.3')]])
  for (const dialect of DIALECTS) {
    for (const operation of OPERATIONS) {
      const name = methodName(operation, dialect)
      if (name !== undefined) traits.set(name, traitsOf(operation, dialect))
    }
  }
  return traits
}

/** What the operation is called in a dialect; undefined where the dialect does not have it. */
export function methodName(operation: Operation, dialect: SpokenDialect): string | undefined {
  return NAMES[operation][dialect]
}

const METHODS = traitsByName()

const UNKNOWN_METHOD: MethodTraits = {
  dialect: 'unknown',
  operation: undefined,
  isStreaming: false,
  carriesMessage: false,
}

/** The traits of a method; of one nobody specified: dialect `unknown`, no stream, no message. */
export function methodTraits(method: string): MethodTraits {
  return METHODS.get(method) ?? UNKNOWN_METHOD
}
