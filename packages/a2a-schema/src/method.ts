/**
 * @module What is known about an A2A method by its name. The two grammars are disjoint, so the name
 * alone decides the dialect of a request (contract/a2a 1.1).
 */

export type Dialect = '0.3' | '1.0' | 'unknown'

export type MethodTraits = {
  readonly dialect: Dialect
  /** Whether a successful answer is a stream of server-sent events. */
  readonly isStreaming: boolean
  /** Whether `params.message` is the payload, so that it is normalised and checked. */
  readonly carriesMessage: boolean
}

function unary(dialect: Dialect): MethodTraits {
  return { dialect, isStreaming: false, carriesMessage: false }
}

const METHODS: ReadonlyMap<string, MethodTraits> = new Map([
  ['message/send', { dialect: '0.3', isStreaming: false, carriesMessage: true }],
  ['message/stream', { dialect: '0.3', isStreaming: true, carriesMessage: true }],
  ['tasks/resubscribe', { dialect: '0.3', isStreaming: true, carriesMessage: false }],
  ['tasks/get', unary('0.3')],
  ['tasks/list', unary('0.3')],
  ['tasks/cancel', unary('0.3')],
  ['tasks/pushNotificationConfig/set', unary('0.3')],
  ['tasks/pushNotificationConfig/get', unary('0.3')],
  ['tasks/pushNotificationConfig/list', unary('0.3')],
  ['tasks/pushNotificationConfig/delete', unary('0.3')],
  ['agent/getAuthenticatedExtendedCard', unary('0.3')],

  ['SendMessage', { dialect: '1.0', isStreaming: false, carriesMessage: true }],
  ['SendStreamingMessage', { dialect: '1.0', isStreaming: true, carriesMessage: true }],
  ['SubscribeToTask', { dialect: '1.0', isStreaming: true, carriesMessage: false }],
  ['GetTask', unary('1.0')],
  ['ListTasks', unary('1.0')],
  ['CancelTask', unary('1.0')],
  ['CreateTaskPushNotificationConfig', unary('1.0')],
  ['GetTaskPushNotificationConfig', unary('1.0')],
  ['ListTaskPushNotificationConfigs', unary('1.0')],
  ['DeleteTaskPushNotificationConfig', unary('1.0')],
  ['GetExtendedAgentCard', unary('1.0')],
])

const UNKNOWN_METHOD = unary('unknown')

/** The traits of a method; of one nobody specified: dialect `unknown`, no stream, no message. */
export function methodTraits(method: string): MethodTraits {
  return METHODS.get(method) ?? UNKNOWN_METHOD
}
