// A product that embeds Stoa's builder: the least that a real one needs. Its backend knows who is
// signed in and signs a token that says so; its page frames the builder and keeps the address bar in
// step with it. No npm packages.
//
//   STOA_URL=http://127.0.0.1:8081 STOA_KEY_ID=… STOA_KEY_FILE=key.pem node server.mjs
import { createServer } from 'node:http';
import { createPrivateKey, createSign, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';

const instanceUrl = need('STOA_URL').replace(/\/$/, '');
const keyId = need('STOA_KEY_ID');
const privateKey = createPrivateKey(readFileSync(need('STOA_KEY_FILE')));
const port = Number(process.env.PORT ?? 3000);

function need(name) {
    if (process.env[name]) return process.env[name];
    console.error(`${name} is not set. See the first lines of server.mjs.`);
    process.exit(2);
}

// Who uses this product, and what each may do in the builder. Yours come from your own database.
const users = {
    ada: { id: 'user-1', firstName: 'Ada', lastName: 'Brook', workspace: 'acme', role: 'Editor' },
    ben: { id: 'user-2', firstName: 'Ben', lastName: 'Castro', workspace: 'acme', role: 'Viewer' },
    cleo: { id: 'user-3', firstName: 'Cleo', lastName: 'Dahl', workspace: 'globex', role: 'Admin' },
};

// Signed-in browsers: a random cookie each, nothing in it.
const signedIn = new Map();

// The provisioning token: who it is, in which workspace, with which role. Five minutes are enough,
// since the page asks for a new one whenever the builder needs it.
function provisioningToken(user) {
    const now = Math.floor(Date.now() / 1000);
    const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const signed = `${part({ alg: 'RS256', typ: 'JWT', kid: keyId })}.${part({
        version: 'v3',
        externalUserId: user.id,
        externalProjectId: user.workspace,
        firstName: user.firstName,
        lastName: user.lastName,
        role: user.role,
        piecesFilterType: 'NONE',
        iat: now,
        exp: now + 5 * 60,
    })}`;
    const signature = createSign('RSA-SHA256').update(signed).sign(privateKey, 'base64url');
    return `${signed}.${signature}`;
}

// Where the script is, and what it must hash to: asked once, so that a changed script does not run.
const script = await (await fetch(`${instanceUrl}/sdk/embed/latest.json`)).json();

const page = readFileSync(new URL('page.html', import.meta.url), 'utf8');
const own = {
    '/app.js': ['text/javascript', readFileSync(new URL('app.js', import.meta.url))],
    '/app.css': ['text/css', readFileSync(new URL('app.css', import.meta.url))],
};

function escaped(text) {
    return text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
}

// The page carries facts as attributes only: no script of it is written by hand, and its policy
// allows none.
function pageFor(user) {
    const facts = {
        INSTANCE: instanceUrl,
        SCRIPT: new URL(script.url, `${instanceUrl}/`).href,
        INTEGRITY: script.integrity,
        WHO: user ? `${user.firstName} ${user.lastName} · ${user.workspace} · ${user.role}` : '',
        STATE: user ? 'in' : 'out',
    };
    return page.replace(/%([A-Z]+)%/g, (_, name) => escaped(facts[name]));
}

function sessionOf(request) {
    return /(?:^|;\s*)session=([\w-]+)/.exec(request.headers.cookie ?? '')?.[1];
}

const server = createServer((request, response) => {
    const path = request.url.split('?')[0];
    const user = users[signedIn.get(sessionOf(request))];
    response.setHeader('x-content-type-options', 'nosniff');
    // The builder's server looks at where it is framed: the origin must reach it, no more.
    response.setHeader('referrer-policy', 'strict-origin-when-cross-origin');
    const signIn = /^\/sign-in\/(\w+)$/.exec(path);
    if (request.method === 'POST' && signIn && Object.hasOwn(users, signIn[1])) {
        const session = randomBytes(24).toString('base64url');
        signedIn.set(session, signIn[1]);
        response.setHeader('set-cookie', `session=${session}; HttpOnly; SameSite=Lax; Path=/`);
        response.writeHead(303, { location: '/automation/apps' }).end();
    } else if (request.method === 'POST' && path === '/sign-out') {
        signedIn.delete(sessionOf(request));
        response.setHeader('set-cookie', 'session=; Max-Age=0; Path=/');
        response.writeHead(303, { location: '/' }).end();
    } else if (path === '/token') {
        response.setHeader('cache-control', 'no-store');
        if (!user) response.writeHead(401).end();
        else response.writeHead(200, { 'content-type': 'text/plain' }).end(provisioningToken(user));
    } else if (request.method !== 'GET') {
        response.writeHead(405, { allow: 'GET' }).end();
    } else if (own[path]) {
        response.writeHead(200, { 'content-type': `${own[path][0]}; charset=utf-8` }).end(own[path][1]);
    } else if (path === '/' || (user && path.startsWith('/automation'))) {
        const frames = new URL(instanceUrl).origin;
        response.writeHead(200, {
            'content-type': 'text/html; charset=utf-8',
            'cache-control': 'no-store',
            'content-security-policy':
                `default-src 'none'; script-src 'self' ${frames}; style-src 'self'; ` +
                `connect-src 'self' ${frames}; frame-src ${frames}; base-uri 'none'; form-action 'self'; frame-ancestors 'none'`,
        }).end(pageFor(user));
    } else {
        response.writeHead(303, { location: '/' }).end();
    }
});
server.listen(port, '127.0.0.1', () => {
    console.log(`A product with Stoa inside: http://localhost:${server.address().port}/`);
});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(0));
