import { importTypeScript } from '../test/import-typescript.mjs';

await importTypeScript(new URL('./core.ts', import.meta.url));
