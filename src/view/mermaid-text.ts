/**
 * Text inside a Mermaid diagram: what its grammar or HTML would read is written as an entity (`#` and code, ended by
 * `;`); so is the word `end`, which would close a block.
 */
export function mermaidText(text: string): string {
  return text
    .replace(/[#;<>&"`{}[\]|\\]/g, (character) => `#${character.charCodeAt(0)};`)
    .replace(/\bend\b/gi, (word) => `#${word.charCodeAt(0)};${word.slice(1)}`);
}
