/** @module What a part is made of (contract/a2a 2.3 #8 to #11). */
import {
  accepted,
  current,
  type Decision,
  FIRST_PART,
  FLAT_FILE,
  FLAT_LINK,
  HI,
  LEGACY_FILE,
  LEGACY_LINK,
  legacy,
  noted,
  PLAIN,
  refusedAt,
  sent,
  sentPart,
  textBoth,
} from './decision.ts'

export const PART_DECISIONS: readonly Decision[] = [
  {
    id: 'M8-text',
    says: 'a text part of 0.1',
    params: sentPart({ type: 'text', text: 'hi' }),
    ...textBoth('hi', 'part-type'),
  },
  {
    id: 'M8-file',
    says: 'a file part of 0.1',
    params: sentPart({ type: 'file', file: { bytes: 'QQ==', mimeType: 'image/png' } }),
    '0.3': noted(
      legacy([{ kind: 'file', file: { bytes: 'QQ==', mimeType: 'image/png' } }]),
      'part-type',
    ),
    '1.0': noted(current([{ raw: 'QQ==', mediaType: 'image/png' }]), 'file-fields', 'part-type'),
  },
  {
    id: 'M8-data',
    says: 'a data part of 0.1',
    params: sentPart({ type: 'data', data: { n: 1 } }),
    '0.3': noted(legacy([{ kind: 'data', data: { n: 1 } }]), 'part-type'),
    '1.0': noted(current([{ data: { n: 1 } }]), 'part-type'),
  },
  {
    id: 'M9',
    says: 'a part with nothing to tell its kind by but its only member',
    params: sentPart(PLAIN),
    '0.3': noted(legacy([HI]), 'part-kind'),
    '1.0': accepted(current([PLAIN])),
  },
  {
    id: 'M9-root',
    says: 'a part as Python models print themselves',
    params: sentPart({ root: { ...HI, metadata: null } }),
    '0.3': noted(legacy([{ ...HI, metadata: null }]), 'part-root'),
    '1.0': noted(current([{ ...PLAIN, metadata: null }]), 'part-kind', 'part-root'),
  },
  {
    id: 'M10-bytes',
    says: 'a file under the names of proto-JSON',
    params: sentPart({
      kind: 'file',
      file: { fileWithBytes: 'QQ==', filename: 'a.png', mediaType: 'image/png' },
    }),
    '0.3': noted(legacy([LEGACY_FILE]), 'file-fields'),
    '1.0': noted(current([FLAT_FILE]), 'file-fields', 'part-kind'),
  },
  {
    id: 'M10-data',
    says: 'a file as two official samples have it, in file.data',
    params: sentPart({
      kind: 'file',
      file: { data: 'QQ==', name: 'a.png', mimeType: 'image/png' },
    }),
    '0.3': noted(legacy([LEGACY_FILE]), 'file-fields'),
    '1.0': noted(current([FLAT_FILE]), 'file-fields', 'part-kind'),
  },
  {
    id: 'M10-uri',
    says: 'a link under every name',
    params: sent({
      parts: [
        { kind: 'file', file: { fileWithUri: 'https://example.com/a' } },
        { kind: 'file', file: { url: 'https://example.com/a' } },
        { kind: 'file', url: 'https://example.com/a' },
      ],
    }),
    '0.3': noted(legacy([LEGACY_LINK, LEGACY_LINK, LEGACY_LINK]), 'file-fields'),
    '1.0': noted(current([FLAT_LINK, FLAT_LINK, FLAT_LINK]), 'file-fields', 'part-kind'),
  },
  {
    id: 'M10-flat',
    says: 'a file of 1.0 under the names of 0.3 and in snake_case',
    params: sent({
      parts: [
        { raw: 'QQ==', name: 'a.png', mimeType: 'image/png' },
        { raw: 'QQ==', filename: 'a.png', media_type: 'image/png' },
      ],
    }),
    '0.3': noted(legacy([LEGACY_FILE, LEGACY_FILE]), 'file-fields', 'part-kind'),
    '1.0': noted(current([FLAT_FILE, FLAT_FILE]), 'file-fields'),
  },
  {
    id: 'M11',
    says: 'data that is no object, as only 1.0 has it',
    params: sent({ parts: [{ data: [1, 2] }, { data: 'x' }, { data: null }] }),
    '0.3': noted(
      legacy(
        [[1, 2], 'x', null].map((value) => ({
          kind: 'data',
          data: { value },
          metadata: { data_part_compat: true },
        })),
      ),
      'data-wrapped',
      'part-kind',
    ),
    '1.0': accepted(current([{ data: [1, 2] }, { data: 'x' }, { data: null }])),
  },
  {
    id: 'M11-kind',
    says: 'data that is no object under the kind of 0.3, which does not have it',
    params: sentPart({ kind: 'data', data: [1, 2] }),
    '0.3': refusedAt(`${FIRST_PART}.data`),
    '1.0': noted(current([{ data: [1, 2] }]), 'part-kind'),
  },
]
