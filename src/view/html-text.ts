/** Text inside HTML, SVG or XML, attribute values included. Characters that XML 1.0 does not allow are left out. */
export function markup(text: string): string {
  return (
    text
      // eslint-disable-next-line no-control-regex -- they are what is left out
      .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, "")
      .replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
  );
}
