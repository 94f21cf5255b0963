/** @module Names, role, id and kind of a message (contract/a2a 2.3 #12 to #20). */
import {
  accepted,
  current,
  type Decision,
  FIRST_PART,
  FLAT_LINK,
  HI,
  legacy,
  MINTED,
  noted,
  OWN,
  PLAIN,
  refusedAt,
  refusedBoth,
  sent,
  sentPart,
  textBoth,
} from './decision.ts'

const ROLES_OF_USERS = [
  ['plain', 'user'],
  ['upper', 'USER'],
  ['enum', 'ROLE_USER'],
  ['enum-lower', 'role_user'],
  ['number', 1],
] as const

export const MESSAGE_DECISIONS: readonly Decision[] = [
  {
    id: 'M12',
    says: 'names in snake_case, which ProtoJSON allows',
    params: {
      message: {
        message_id: 'm',
        role: 'user',
        context_id: 'c',
        task_id: 't',
        reference_task_ids: ['r'],
        parts: [{ ...FLAT_LINK, media_type: 'image/png' }],
      },
    },
    '0.3': noted(
      legacy([{ kind: 'file', file: { uri: 'https://example.com/a', mimeType: 'image/png' } }], {
        contextId: 'c',
        taskId: 't',
        referenceTaskIds: ['r'],
      }),
      'file-fields',
      'part-kind',
      'snake-case',
    ),
    '1.0': noted(
      current([{ ...FLAT_LINK, mediaType: 'image/png' }], {
        contextId: 'c',
        taskId: 't',
        referenceTaskIds: ['r'],
      }),
      'file-fields',
      'snake-case',
    ),
  },
  {
    id: 'M12-twice',
    says: 'the same field under two names that disagree',
    params: sent({ contextId: 'c', context_id: 'd', parts: [HI] }),
    ...refusedBoth('params.message.contextId'),
  },
  ...ROLES_OF_USERS.map(
    ([name, role]): Decision => ({
      id: `M13-${name}`,
      says: `the role ${role}`,
      params: sent({ role, content: 'hi' }),
      ...textBoth('hi', 'content-string'),
    }),
  ),
  {
    id: 'M13-agent',
    says: 'the role of an agent that writes to another',
    params: sent({ role: 'ROLE_AGENT', content: 'hi' }),
    '0.3': noted(legacy([HI], { role: 'agent' }), 'content-string'),
    '1.0': noted(current([PLAIN], { role: 'ROLE_AGENT' }), 'content-string'),
  },
  {
    id: 'M14',
    says: 'no role',
    params: { message: { messageId: 'm', content: 'hi' } },
    ...textBoth('hi', 'content-string', 'role'),
  },
  ...['robot', '', 'ROLE_UNSPECIFIED', 0, 3, true].map(
    (role): Decision => ({
      id: `M15-${role === '' ? 'empty' : role}`,
      says: `the role ${JSON.stringify(role)}`,
      params: sent({ role, parts: [HI] }),
      ...refusedBoth('params.message.role'),
    }),
  ),
  ...[undefined, null, ''].map(
    (messageId): Decision => ({
      id: `M16-${messageId === '' ? 'empty' : (messageId ?? String(messageId))}`,
      says: `the message id ${JSON.stringify(messageId) ?? 'missing'}`,
      params: {
        message: { role: 'user', content: 'hi', ...(messageId === undefined ? {} : { messageId }) },
      },
      '0.3': noted(legacy([HI], { messageId: MINTED }), 'content-string', 'message-id'),
      '1.0': noted(current([PLAIN], { messageId: MINTED }), 'content-string', 'message-id'),
    }),
  ),
  {
    id: 'M16-alias',
    says: 'a message id that is called id',
    params: { message: { id: 'm', role: 'user', content: 'hi' } },
    ...textBoth('hi', 'content-string', 'message-id'),
  },
  {
    id: 'M16-number',
    says: 'a message id that is no text',
    params: sent({ messageId: 5, parts: [HI] }),
    ...refusedBoth('params.message.messageId'),
  },
  {
    id: 'M17',
    says: 'no kind of the message, as in the samples of the specification',
    params: sent({ parts: [HI] }),
    '0.3': accepted(legacy([HI])),
    '1.0': noted(current([PLAIN]), 'part-kind'),
  },
  {
    id: 'M17-kind',
    says: 'a kind where 1.0 has none',
    params: { message: { kind: 'message', ...OWN, parts: [PLAIN] } },
    '0.3': noted(legacy([HI]), 'part-kind'),
    '1.0': accepted(current([PLAIN])),
  },
  {
    id: 'M18',
    says: 'a message that stands where its parameters should be',
    params: { ...OWN, content: 'hi' },
    ...textBoth('hi', 'content-string', 'flattened'),
  },
  {
    id: 'M20-arm',
    says: 'a kind of which the member is missing',
    params: sentPart({ kind: 'text', file: { uri: 'https://example.com/a' } }),
    ...refusedBoth(FIRST_PART),
  },
  {
    id: 'M20-kind',
    says: 'a kind that nobody knows',
    params: sentPart({ kind: 'video', text: 'hi' }),
    ...refusedBoth(FIRST_PART),
  },
  {
    id: 'M20-type',
    says: 'a type that nobody knows: to 1.0 it is somebody’s own member',
    params: sentPart({ type: 'greeting', text: 'hi' }),
    '0.3': refusedAt(FIRST_PART),
    '1.0': accepted(current([{ type: 'greeting', text: 'hi' }])),
  },
]
