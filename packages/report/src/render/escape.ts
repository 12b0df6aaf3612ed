const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** What XML 1.0 cannot carry even as a reference: control characters and halves of surrogate pairs. */
const forbidden = /[^\t\n\r\u{20}-\u{D7FF}\u{E000}-\u{FFFD}\u{10000}-\u{10FFFF}]/gu;

/** Text made safe inside an element or a quoted attribute, of HTML and of XML alike. */
export function escapeMarkup(text: string): string {
  return text
    .replaceAll(forbidden, '\u{FFFD}')
    .replaceAll(/[&<>"']/g, (character) => entities[character] ?? character);
}
