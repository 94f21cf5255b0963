/**
 * @module The other names under which senders give what the dialects know: the snake_case that is
 * legal input of ProtoJSON, and the names of other generations (contract/a2a 2.3 #10, #12).
 */
import type { MessageDialect } from './pass.ts'

export type FieldNames = ReadonlyMap<string, string>

function names(rows: Readonly<Record<string, readonly string[]>>): FieldNames {
  return new Map(
    Object.entries(rows).flatMap(([name, others]) => others.map((other) => [other, name])),
  )
}

export const MESSAGE_NAMES = names({
  messageId: ['message_id'],
  contextId: ['context_id'],
  taskId: ['task_id'],
  referenceTaskIds: ['reference_task_ids'],
})

/** What belongs to a message, and is taken into one when it stands beside it (#18). */
export const MESSAGE_MEMBERS: ReadonlySet<string> = new Set([
  ...MESSAGE_NAMES.keys(),
  ...MESSAGE_NAMES.values(),
  'kind',
  'role',
  'parts',
  'content',
  'extensions',
])

/** Inside of `file`, as 0.3 has it. */
export const FILE_NAMES = names({
  bytes: ['fileWithBytes', 'file_with_bytes', 'data', 'raw'],
  uri: ['fileWithUri', 'file_with_uri', 'url'],
  mimeType: ['mime_type', 'mediaType', 'media_type'],
  name: ['filename', 'fileName', 'file_name'],
})

const MEDIA_TYPE = { mediaType: ['media_type', 'mimeType', 'mime_type'] }

/** Of a part of 1.0 that is no file. */
export const PART_NAMES = names(MEDIA_TYPE)

/** Of a part of 1.0 that is a file. */
export const FLAT_FILE_NAMES = names({
  ...MEDIA_TYPE,
  filename: ['name', 'fileName', 'file_name'],
})

/** How the members of a file are called once they stand in the part, as 1.0 has it. */
export const FLATTENED_NAMES = names({
  raw: ['bytes'],
  url: ['uri'],
  mediaType: ['mimeType'],
  filename: ['name'],
})

const CONFIGURATION = {
  acceptedOutputModes: ['accepted_output_modes'],
  historyLength: ['history_length'],
  returnImmediately: ['return_immediately'],
}

export const CONFIGURATION_NAMES: Readonly<Record<MessageDialect, FieldNames>> = {
  '0.3': names({
    ...CONFIGURATION,
    pushNotificationConfig: [
      'push_notification_config',
      'pushNotification',
      'push_notification',
      'taskPushNotificationConfig',
      'task_push_notification_config',
    ],
  }),
  '1.0': names({
    ...CONFIGURATION,
    taskPushNotificationConfig: [
      'task_push_notification_config',
      'pushNotification',
      'push_notification',
      'pushNotificationConfig',
      'push_notification_config',
    ],
  }),
}

/** Of the operations that carry no message. */
export const PARAMS_NAMES = names({
  taskId: ['task_id'],
  contextId: ['context_id'],
  historyLength: ['history_length'],
  pageSize: ['page_size'],
  pageToken: ['page_token'],
  statusTimestampAfter: ['status_timestamp_after'],
  includeArtifacts: ['include_artifacts'],
  pushNotificationConfig: ['push_notification_config'],
  pushNotificationConfigId: ['push_notification_config_id'],
})
