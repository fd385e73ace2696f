/** The OpenAPI document, and a page to browse it with that asks nobody but us. For everybody: there is no secret in it. */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { documentOperation, pageOperation, rootOperation } from '../openapi/others.ts';
import { resource, type App, unguarded } from '../resource.ts';

const swaggerUi = createRequire(import.meta.url);

/** What is served of the browser's side, as it is in the package. */
const files: Record<string, { source: string; type: string }> = {
  'swagger-ui.css': { source: 'swagger-ui-dist/swagger-ui.css', type: 'text/css; charset=utf-8' },
  'swagger-ui-bundle.js': { source: 'swagger-ui-dist/swagger-ui-bundle.js', type: 'text/javascript; charset=utf-8' },
};

const page = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>PROMINENCE API</title>
    <link rel="icon" href="data:,">
    <link rel="stylesheet" href="/docs/swagger-ui.css">
  </head>
  <body>
    <div id="swagger-ui"></div>
    <script src="/docs/swagger-ui-bundle.js"></script>
    <script src="/docs/start.js"></script>
  </body>
</html>
`;

const start = `SwaggerUIBundle({ url: '/openapi.json', dom_id: '#swagger-ui', validatorUrl: null, deepLinking: true });\n`;

const headers = {
  // The page shows what users typed in answers of ours; nothing from elsewhere may run or be loaded.
  'Content-Security-Policy':
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'",
  'X-Content-Type-Options': 'nosniff',
};

/** `document` is asked for at each call: routes may be registered after these. */
export function documentRoutes(app: App, document: () => Record<string, unknown>): void {
  resource(app, '/', unguarded, { docs: { GET: rootOperation }, GET: async (c) => c.json(await pointer()) });

  resource(app, '/openapi.json', unguarded, { docs: { GET: documentOperation }, GET: (c) => c.json(document()) });

  resource(app, '/docs', unguarded, { docs: { GET: pageOperation }, GET: (c) => c.html(page, 200, headers) });

  for (const [name, { source, type }] of Object.entries(files)) {
    const content = readOnce(swaggerUi.resolve(source));
    resource(app, `/docs/${name}`, unguarded, {
      docs: { GET: { ...pageOperation, answers: { 200: { description: 'A part of the page', schema: {}, type } } } },
      GET: async (c) =>
        c.body(await content(), 200, { ...headers, 'Content-Type': type, 'Cache-Control': 'max-age=3600' }),
    });
  }
  const type = 'text/javascript; charset=utf-8';
  resource(app, '/docs/start.js', unguarded, {
    docs: { GET: { ...pageOperation, answers: { 200: { description: 'A part of the page', schema: {}, type } } } },
    GET: (c) => c.body(start, 200, { ...headers, 'Content-Type': type }),
  });
}

/** For who comes with nothing but the address. */
async function pointer(): Promise<Record<string, unknown>> {
  const { name, version } = JSON.parse(await packageFile()) as { name: string; version: string };
  return { name, version, api: '/v1', documentation: '/docs', openapi: '/openapi.json', health: '/health' };
}

const packageFile = readOnce(fileURLToPath(new URL('../../package.json', import.meta.url)));

function readOnce(path: string): () => Promise<string> {
  let content: Promise<string> | undefined;
  return () => (content ??= readFile(path, 'utf8'));
}
