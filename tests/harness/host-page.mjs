// The product that embeds: a page on another origin than the server's (localhost against 127.0.0.1, which browsers hold for other sites),
// with the SDK in it by its hash, and a place for the builder.
import http from 'node:http';
import { request } from './server.mjs';

/**
 * `body` is markup, `policy` a Content-Security-Policy, `headers` more of them, `pages` other bodies: {'/late': …}. Gives {origin, close()}.
 */
export async function startHostPage(server, { body = '<div id="builder"></div>', policy, headers = {}, pages = {}, script = true, host = 'localhost' } = {}) {
    const { json: latest } = await request(`${server.console}/sdk/embed/latest.json`);
    const page = (inner) => `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>Host</title><link rel="icon" href="data:,">
<style>html,body{height:100%;margin:0}#builder{height:100vh}</style>${script ? latest.script : ''}</head><body>${inner}</body></html>`;
    const listener = http.createServer((asked, answer) => {
        answer.writeHead(200, { 'content-type': 'text/html; charset=utf-8', ...(policy && { 'content-security-policy': policy }), ...headers });
        answer.end(page(pages[asked.url] ?? body));
    });
    await new Promise((done) => listener.listen(0, '127.0.0.1', done));
    return {
        origin: `http://${host}:${listener.address().port}`,
        latest,
        close: () => new Promise((done) => {
            listener.close(done);
            listener.closeAllConnections?.();
        }),
    };
}
