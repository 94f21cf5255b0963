/**
 * @module Text from a workspace is hostile: an agent, a file name or a log line may carry escape
 * sequences that retitle the window, rewrite what was printed before, or fill the clipboard.
 */

// ECMA-48 5.4 and 8.3: control sequences (CSI), control strings (OSC, DCS, SOS, PM, APC up to
// their terminator or, when it never comes, the end of the line), and two-character escapes. C1
// controls are the 8-bit forms of the same.
const SEQUENCES =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are the subject.
  /(?:\u001b\[|\u009b)[0-?]*[ -/]*[@-~]?|(?:\u001b[\]PX^_]|[\u0090\u0098\u009d\u009e\u009f])[^\u0007\u001b\u009c\n]*(?:\u0007|\u001b\\|\u009c)?|\u001b[ -/]*[0-~]?/g

// What is left of C0, DEL and C1, without tab and line feed.
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are the subject.
const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g

// Bidirectional overrides make a terminal show another text than the one that is there.
const BIDI = /[\u202a-\u202e\u2066-\u2069]/g

/** `text` without control sequences, control characters (tab and line feed stay) or bidi controls. */
export function printable(text: string): string {
  return text.replace(/\r\n/g, '\n').replace(SEQUENCES, '').replace(CONTROLS, '').replace(BIDI, '')
}

/** The same on one line: line feeds and tabs become spaces. For names, ids and error texts. */
export function printableLine(text: string): string {
  return printable(text)
    .replace(/[\n\t\u2028\u2029]+/g, ' ')
    .trim()
}

// What ends a line, and the marks that turn the direction of what follows.
const TURNS_OR_BREAKS = /[\n\t\u061c\u200e\u200f\u2028\u2029]/g

/** A file name on a terminal: `?` for each character that it would obey, as `ls -q` does. */
export function printableName(name: string): string {
  return name.replace(CONTROLS, '?').replace(BIDI, '?').replace(TURNS_OR_BREAKS, '?')
}

// What JSON need not escape and a terminal may obey: DEL, C1, and everything about direction.
const OBEYED_IN_JSON = /[\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g

/** JSON that says the same and that a terminal can be shown: inside of strings it is only escaped. */
export function printableJson(json: string): string {
  return json.replace(
    OBEYED_IN_JSON,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
