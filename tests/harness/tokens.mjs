// A product's backend for tests: a platform of its own, its signing keys, and provisioning tokens, good ones and any other kind.
//
//     const acme = await makePlatform(server, 'acme');
//     const key = await acme.makeKey({ allowedOrigins: ['https://app.example.com'] });
//     const answer = await acme.exchange(key.sign({ externalUserId: 'u1' }), { origin: 'https://app.example.com' });
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { request } from './server.mjs';

export const base64url = (value) => Buffer.from(typeof value === 'string' || Buffer.isBuffer(value) ? value : JSON.stringify(value)).toString('base64url');
export const nowSeconds = () => Math.floor(Date.now() / 1000);

/** A key pair of 2048 bits, made once a process: they are dear. */
let pair;
export function rsaPair() {
    pair ??= crypto.generateKeyPairSync('rsa', { modulusLength: 2048, publicKeyEncoding: { type: 'spki', format: 'pem' }, privateKeyEncoding: { type: 'pkcs8', format: 'pem' } });
    return pair;
}

/** Three parts signed as they are: header and payload may be objects, or text that is no JSON at all. */
export function signParts(header, payload, privateKey) {
    const input = `${base64url(header)}.${base64url(payload)}`;
    return `${input}.${crypto.createSign('RSA-SHA256').update(input).sign(privateKey, 'base64url')}`;
}

/** The claims of a good token, with those given over them; undefined takes one out. */
export function claims(more = {}) {
    const now = nowSeconds();
    const all = {
        version: 'v3', externalUserId: 'user-1', externalProjectId: 'workspace-1', firstName: 'Ada', lastName: 'Brook', role: 'Editor',
        piecesFilterType: 'NONE', iat: now, exp: now + 300, jti: crypto.randomUUID(), ...more,
    };
    return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}

/** What signs for a key: `sign(claims, headerMembers)`. */
export function signer(id, privateKey) {
    return {
        id,
        privateKey,
        sign: (payload = {}, header = {}) => signParts({ alg: 'RS256', typ: 'JWT', kid: id, ...header }, claims(payload), privateKey),
        signParts: (header, payload) => signParts(header, payload, privateKey),
    };
}

/** `addressOf()`: where an exchange says it comes from, where the server trusts X-Forwarded-For. */
export async function exchange(server, token, { origin, parentOrigin, address, prefix = '', headers = {} } = {}) {
    return request(`${server.console}${prefix}/api/v1/managed-authn/external-token`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...(origin && { origin }), ...(address && { 'x-forwarded-for': address }), ...headers },
        body: JSON.stringify({ externalAccessToken: token, ...(parentOrigin !== undefined && { parentOrigin }) }),
    });
}

export async function makePlatform(server, slug) {
    const made = await server.api('POST', '/api/v1/platforms', { displayName: slug, slug });
    assert.equal(made.status, 201, made.text);
    const { token } = made.json;
    const api = (method, where, body, more = {}) => server.api(method, where, body, { token, ...more });
    return {
        ...made.json,
        api,
        /** Uploads our own public half unless `privateKey` is to be made there (4096 bits: a second or more). */
        async makeKey(policy = {}, isMadeThere = false) {
            const fields = { displayName: 'test', ...(!isMadeThere && { publicKey: rsaPair().publicKey }), ...policy };
            const key = await api('POST', '/api/v1/signing-keys', fields);
            assert.equal(key.status, 201, key.text);
            return { ...key.json, ...signer(key.json.id, isMadeThere ? key.json.privateKey : rsaPair().privateKey) };
        },
        exchange: (signed, more) => exchange(server, signed, more),
        async events(query = '') {
            const page = await api('GET', `/api/v1/audit-events?limit=100${query}`);
            assert.equal(page.status, 200, page.text);
            return page.json.data;
        },
    };
}
