import { CommandError } from './exit-codes.ts';

/*
 * Questions to people. inquirer takes 60 ms to load, so it is loaded when something is asked. Questions go to standard
 * error: standard output is for results.
 */

/** True if there is a person to ask. */
export function canAsk(): boolean {
  return process.stdin.isTTY === true && process.stderr.isTTY === true;
}

/** Asks for a yes or no. */
export async function askYesNo(message: string): Promise<boolean> {
  const answers = await ask((prompt) => prompt([{ type: 'confirm', name: 'answer', message, default: false }]));
  return answers.answer;
}

/** Asks for a line; asked again as long as `check` throws, whose message is shown. */
export async function askLine(message: string, suggestion: string, check: (text: string) => unknown): Promise<string> {
  const validate = (text: string): true | string => {
    try {
      check(text);
      return true;
    } catch (error) {
      return (error as Error).message;
    }
  };
  const question = { type: 'input', name: 'answer', message, default: suggestion, validate } as const;
  const answers = await ask((prompt) => prompt([question]));
  return answers.answer;
}

type Prompt = Awaited<ReturnType<typeof loadPrompt>>;

async function loadPrompt() {
  const { default: inquirer } = await import('inquirer');
  return inquirer.createPromptModule({ output: process.stderr });
}

async function ask<Answers>(question: (prompt: Prompt) => PromiseLike<Answers>): Promise<Answers> {
  const prompt = await loadPrompt();
  try {
    return await question(prompt);
  } catch (error) {
    // Ctrl-C at a question.
    if (error instanceof Error && error.name === 'ExitPromptError') throw new PromptLeft();
    throw error;
  }
}

/** Ctrl-C at a question: nothing was done. */
export class PromptLeft extends CommandError {
  constructor() {
    super('usage', 'cancelled', 'cancelled: nothing was done');
  }
}
