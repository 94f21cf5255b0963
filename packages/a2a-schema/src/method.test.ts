import { describe, expect, it } from 'vitest'
import { methodName, methodTraits } from './method.ts'

describe('methodTraits', () => {
  it.each([
    ['message/send', '0.3', 'send', false],
    ['message/stream', '0.3', 'stream', true],
    ['tasks/get', '0.3', 'get', false],
    ['tasks/list', '0.3', 'list', false],
    ['tasks/cancel', '0.3', 'cancel', false],
    ['tasks/resubscribe', '0.3', 'subscribe', true],
    ['tasks/pushNotificationConfig/set', '0.3', 'push_set', false],
    ['tasks/pushNotificationConfig/get', '0.3', 'push_get', false],
    ['tasks/pushNotificationConfig/list', '0.3', 'push_list', false],
    ['tasks/pushNotificationConfig/delete', '0.3', 'push_delete', false],
    ['agent/getAuthenticatedExtendedCard', '0.3', 'extended_card', false],
    ['SendMessage', '1.0', 'send', false],
    ['SendStreamingMessage', '1.0', 'stream', true],
    ['GetTask', '1.0', 'get', false],
    ['ListTasks', '1.0', 'list', false],
    ['CancelTask', '1.0', 'cancel', false],
    ['SubscribeToTask', '1.0', 'subscribe', true],
    ['CreateTaskPushNotificationConfig', '1.0', 'push_set', false],
    ['GetTaskPushNotificationConfig', '1.0', 'push_get', false],
    ['ListTaskPushNotificationConfigs', '1.0', 'push_list', false],
    ['DeleteTaskPushNotificationConfig', '1.0', 'push_delete', false],
    ['GetExtendedAgentCard', '1.0', 'extended_card', false],
    ['tasks/send', '0.1', 'send', false],
    ['tasks/sendSubscribe', '0.1', 'stream', true],
    ['tasks/pushNotification/set', '0.1', 'push_set', false],
    ['tasks/pushNotification/get', '0.1', 'push_get', false],
    ['sendmessage', 'unknown', undefined, false],
    ['ListTaskPushNotificationConfig', 'unknown', undefined, false],
    ['', 'unknown', undefined, false],
    ['__proto__', 'unknown', undefined, false],
    ['constructor', 'unknown', undefined, false],
  ])('%j is of %s, does %s, and streams: %s', (method, dialect, operation, isStreaming) => {
    const carriesMessage = operation === 'send' || operation === 'stream'
    expect(methodTraits(method)).toEqual({ dialect, operation, isStreaming, carriesMessage })
  })
})

describe('methodName', () => {
  it.each([
    ['send', '0.1', 'tasks/send'],
    ['get', '0.1', 'tasks/get'],
    ['push_set', '0.1', 'tasks/pushNotification/set'],
    ['push_list', '0.1', undefined],
    ['extended_card', '0.1', undefined],
    ['stream', '0.3', 'message/stream'],
    ['list', '0.3', undefined],
    ['push_delete', '0.3', 'tasks/pushNotificationConfig/delete'],
    ['list', '1.0', 'ListTasks'],
    ['push_set', '1.0', 'CreateTaskPushNotificationConfig'],
  ] as const)('calls %s of %s %j', (operation, dialect, name) => {
    expect(methodName(operation, dialect)).toBe(name)
  })
})
