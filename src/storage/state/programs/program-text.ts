/**
 * The text of a program that calls `main` with `require` and `parts`: for a thread or a process of its own, so that it runs the same from
 * source, from the compiled files and from a bundle, which may be of one file.
 *
 * The functions are given as their own text. So nothing that they name may be from outside of them, but types and what is in reach
 * everywhere: JavaScript's and Node's globals.
 */
export function programText<Parts extends Readonly<Record<string, (...given: never[]) => unknown>>>(
  main: (require: NodeJS.Require, parts: Parts) => void,
  parts: Parts,
): string {
  const given = Object.entries(parts).map(([name, part]) => `${name}: ${part}`);
  return `(${main})(require, {\n${given.join(',\n')}\n});\n`;
}
