// The catalogue and connections (contract §7): what a platform offers its projects, the apps they make of it, each with data, secrets and
// runs of its own, and connections from the request to the handler.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { pie } from '../harness/pie.mjs';
import { freshDatabase } from '../harness/postgres.mjs';
import { request, slowness, startServer, temporaryRoot, until } from '../harness/server.mjs';
import { makePlatform } from '../harness/tokens.mjs';

const MARKER = 'marker-c0nNect-of-the-e2e';
const MANIFEST = (columns = '') => `description: Keeps notes
manifest:
  developerSecrets:
    API_KEY: { description: The platform's, required: true }
    TOKEN: { description: What is used where nobody connected }
  userSecrets:
    TOKEN: { description: Yours, required: true }
    OTHER: { description: Not needed }
  userFields:
    limit: { type: number, label: Limit, min: 1, max: 10, default: 5 }
    sheet: { type: text, label: Sheet, required: true }
    topics: { type: tags, label: Topics }
    often: { type: select, label: Often, options: [{ value: daily, label: D }, { value: weekly, label: W }] }
  pieceNames: ['@vendor/piece-notes', notes-by-name]
  database:
    tables:
      notes: { columns: { id: serial primary key, text: text not null${columns} } }
`;
const CODE = (version) => `async function handler(input, context) {
    if (input._widgetAction) return { widget: input.payload, owner: context.user.id };
    if (!input._publicAction) return { tool: input };
    const { actionId, payload } = input;
    if (actionId === 'add') return (await context.managedDb.query('insert into notes (text) values ($1) returning text', [payload.text])).rows;
    if (actionId === 'list') return (await context.managedDb.query('select text from notes order by id')).rows.map((r) => r.text);
    if (actionId === 'columns')
        return (await context.managedDb.query("select attname as n from pg_attribute where attrelid = 'notes'::regclass and attnum > 0")).rows.map((r) => r.n);
    if (actionId === 'where') return (await context.managedDb.query('select current_database() as d')).rows[0].d;
    return { version: '${version}', secrets: context.secrets, config: context.userConfig, user: context.user.id };
}
module.exports = { handler };
`;

let server, platform, other; // platforms
let ann, ben, eve; // customers of `platform`, and one of `other`
let notes; // the platform's plugin
before(async () => {
    server = await startServer({ settings: { shared_origin: 'accepted' }, workers: 60 });
    platform = done(await server.api('POST', '/api/v1/platforms', { displayName: 'Acme', slug: 'acme' }), 201);
    other = done(await server.api('POST', '/api/v1/platforms', { displayName: 'Other', slug: 'other' }), 201);
    ann = await project(platform, 'ann');
    ben = await project(platform, 'ben');
    eve = await project(other, 'eve');
    notes = (await deploy(platform, 'notes', '1.0.0')).plugin;
    await deploy(platform, 'extra', '1.0.0', { front: 'manifest:\n  pieceNames: [notes-by-name, extra-by-name]\n' });
    await deploy(platform, 'hidden', '1.0.0', { front: '' });
    await by(platform)('PUT', '/api/plugins/notes/secrets/API_KEY', { value: 'of the platform' });
});
after(() => server?.stop());

const sql = (text) => String(server.database.query(text)).trim();
const by = ({ token }) => (method, where, body, options) => server.api(method, where, body, { token, ...options });

function done(answer, status = 200) {
    assert.equal(answer.status, status, answer.text);
    return answer.json;
}

function refused(answer, status, code) {
    assert.equal(answer.status, status, answer.text);
    assert.equal(answer.json.code, code);
    return answer.json;
}

const project = async (of, name) => done(await by(of)('POST', '/api/v1/projects', { displayName: name, externalId: name }), 201);

async function deploy(of, name, version, { front = MANIFEST(), files = { 'index.html': `<title>${name} ${version}</title>` } } = {}) {
    const answer = await by(of)('POST', '/api/plugins/import', pie(name, files, { version, front, code: CODE(version) }));
    assert.ok(answer.status < 300, answer.text);
    return answer.json;
}

const slugs = (list) => list.data.map((p) => p.slug).sort();
const listed = async (of) => slugs(done(await by(of)('GET', '/api/v1/pieces')));
const change = (body, of = platform) => by(of)('PATCH', '/api/v1/pieces', body);
const filter = (of, type, tags = []) => sql(`update projects set pieces_filter = '${type}', pieces_tags = '{${tags}}' where id = '${of.id}'`);
const call = async (app, action, body = {}) => {
    const answer = await request(`${new URL(app.url).origin}/api/public-actions/${app.slug}/${action}`, {
        method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json' },
    });
    assert.equal(answer.status, 200, answer.text);
    return answer.json.data;
};
const make = async (of, plugin = 'notes') => done(await by(of)('POST', `/api/plugins/${plugin}/instances`), 201);
const connect = (of, body) => by(of)('POST', '/api/v1/connections', body);

// --- the catalogue ---

test('nothing is offered until the platform says so', async () => {
    assert.deepEqual(await listed(ann), []);
    refused(await by(ann)('POST', '/api/plugins/notes/instances'), 404, 'plugin_not_found');
    refused(await by(ann)('POST', `/api/plugins/${notes.id}/instances`), 404, 'plugin_not_found');
    const all = done(await by(platform)('GET', '/api/v1/pieces'));
    assert.deepEqual(slugs(all), ['extra', 'hidden', 'notes']);
    assert.deepEqual(all.data.map((p) => [p.offered, p.tags]), [[false, []], [false, []], [false, []]]);
});

test('the platform offers and tags in bulk, all or nothing', async () => {
    refused(await change({ ids: ['notes', 'none'], offered: true }), 404, 'plugin_not_found');
    assert.deepEqual(await listed(ann), []);
    const answer = done(await change({ ids: ['notes', 'extra'], addTags: ['free', 'Ünicode'], offered: true }));
    assert.deepEqual(slugs(answer), ['extra', 'notes']);
    done(await change({ ids: [notes.id], addTags: ['paid', 'free'], removeTags: ['Ünicode'] }));
    const all = done(await by(platform)('GET', '/api/v1/pieces')).data;
    assert.deepEqual(all.map((p) => [p.slug, p.offered, p.tags]),
        [['hidden', false, []], ['extra', true, ['free', 'Ünicode']], ['notes', true, ['free', 'paid']]]);
    assert.equal(done(await by(platform)('GET', '/api/v1/pieces/notes')).tags.length, 2);
});

test('what cannot be meant is refused', async () => {
    const many = Array.from({ length: 101 }, (_, i) => `p${i}`);
    for (const [body, field] of [[{ ids: [] }, 'ids'], [{ ids: many }, 'ids'], [{ ids: [1] }, 'ids'], [{ ids: ['notes'], addTags: [''] }, 'addTags'],
        [{ ids: ['notes'], addTags: ['x'.repeat(65)] }, 'addTags'], [{ ids: ['notes'], removeTags: ['a\nb'] }, 'removeTags'],
        [{ ids: ['notes'], addTags: [' '] }, 'addTags'], [{ ids: ['notes'], addTags: ['a\u0085b'] }, 'addTags'],
        [{ ids: ['notes'], addTags: many }, 'addTags'], [{ ids: ['notes'], offered: 'yes' }, 'offered'], [{ ids: ['notes'], tags: [] }, 'tags']])
        assert.ok(refused(await change(body), 422, 'invalid_request').details.fields[field], JSON.stringify(body));
    done(await change({ ids: ['hidden'], addTags: many.slice(0, 50) }));
    refused(await change({ ids: ['hidden'], addTags: ['one more'] }), 422, 'too_many_tags');
    done(await change({ ids: ['hidden'], removeTags: many.slice(0, 50) }));
});

test('only a platform token changes the catalogue, and only its own', async () => {
    refused(await change({ ids: ['notes'], offered: false }, ann), 403, 'scope_too_low');
    refused(await change({ ids: ['notes'], offered: false }, server), 403, 'platform_token_needed');
    refused(await change({ ids: ['notes'], offered: false }, other), 404, 'plugin_not_found');
    refused(await change({ ids: [notes.id], offered: false }, other), 404, 'plugin_not_found');
    assert.deepEqual(await listed(eve), []);
    refused(await by(eve)('GET', `/api/v1/pieces/${notes.id}`), 404, 'piece_not_found');
});

test('a project sees what its filter leaves, without the platform\'s own words', async () => {
    assert.deepEqual(await listed(ann), ['extra', 'notes']);
    filter(ann, 'ALLOWED', ['paid']);
    assert.deepEqual(await listed(ann), ['notes']);
    filter(ann, 'ALLOWED', ['none']);
    assert.deepEqual(await listed(ann), []);
    filter(ann, 'ALLOWED', []);
    assert.deepEqual(await listed(ann), []);
    refused(await by(ann)('POST', '/api/plugins/notes/instances'), 404, 'plugin_not_found');
    filter(ann, 'NONE');
    assert.deepEqual(await listed(ann), ['extra', 'notes']);
    const piece = done(await by(ann)('GET', '/api/v1/pieces/notes'));
    assert.deepEqual(piece.pieceNames, ['notes', '@vendor/piece-notes', 'notes-by-name']);
    assert.equal(piece.userSecrets.TOKEN.required, true);
    assert.equal(piece.userFields.limit.default, 5);
    assert.equal(piece.developerSecrets, undefined);
    assert.deepEqual([piece.hasApp, piece.displayName, piece.version, piece.description], [true, 'notes', '1.0.0', 'Keeps notes']);
    assert.deepEqual([piece.tags, piece.offered], [undefined, undefined]);
    const named = async (name) => slugs(done(await by(ann)('GET', `/api/v1/pieces?pieceName=${encodeURIComponent(name)}`)));
    assert.deepEqual(await named('@vendor/piece-notes'), ['notes']);
    assert.deepEqual(await named('notes-by-name'), ['notes'], 'of two the older');
    assert.deepEqual(await named('extra-by-name'), ['extra']);
    assert.deepEqual(await named('hidden'), []);
    let pages = [];
    for (let cursor = ''; cursor !== null;) {
        const page = done(await by(ann)('GET', `/api/v1/pieces?limit=1${cursor && `&cursor=${cursor}`}`));
        pages = [...pages, ...slugs(page)];
        cursor = page.next;
    }
    assert.deepEqual(pages, ['extra', 'notes']);
});

// --- apps ---

let annApp, benApp;
test('a project makes its own app of an offered plugin', async () => {
    annApp = await make(ann);
    benApp = await make(ben, notes.id);
    assert.equal((await request(annApp.url)).text, '<title>notes 1.0.0</title>');
    assert.equal(annApp.pluginSlug, 'notes');
    const flows = done(await by(ann)('GET', '/api/v1/flows'));
    assert.deepEqual(flows.data.map((f) => [f.id, f.displayName, f.status, f.publicAppUrl, f.plugin.id]), [[annApp.id, 'notes', 'ENABLED', annApp.url, notes.id]]);
    assert.deepEqual([flows.next, flows.previous], [null, null]);
    assert.deepEqual(done(await by(ann)('GET', `/api/v1/flows/${annApp.slug}`)), flows.data[0]);
    refused(await by(ben)('GET', `/api/v1/flows/${annApp.id}`), 404, 'instance_not_found');
    refused(await by(platform)('GET', `/api/v1/flows/${annApp.id}`), 404, 'instance_not_found');
});

test('its data, its owner and its runs are the project\'s, and nobody else\'s', async () => {
    await call(annApp, 'add', { text: 'of ann' });
    await call(benApp, 'add', { text: 'of ben' });
    assert.deepEqual(await call(annApp, 'list'), ['of ann']);
    assert.deepEqual(await call(benApp, 'list'), ['of ben']);
    assert.notEqual(await call(annApp, 'where'), await call(benApp, 'where'));
    assert.equal((await call(annApp, 'look')).user, ann.ownerId);
    const runs = await until(async () => {
        const answer = done(await by(ann)('GET', `/api/public-apps/instances/${annApp.id}/runs`));
        return answer.data.length === 4 && answer;
    }, 'four runs');
    const run = `/api/runs/${runs.data[0].id}`;
    done(await by(ann)('GET', run));
    for (const stranger of [ben, eve, platform]) {
        refused(await by(stranger)('GET', run), 404, 'run_not_found');
        refused(await by(stranger)('GET', `/api/public-apps/instances/${annApp.id}/runs`), 404, 'instance_not_found');
        refused(await by(stranger)('GET', `/api/public-apps/instances/${annApp.slug}`), 404, 'instance_not_found');
    }
    const own = done(await by(platform)('GET', '/api/plugins/notes/instances')).data;
    assert.deepEqual(own.map((i) => i.id), [done(await by(platform)('GET', '/api/plugins/notes')).instance.id], 'the platform sees its own');
});

test('settings, secrets, config, widget actions, tables, files and domains of it work by instance', async () => {
    const at = `/api/public-apps/instances/${annApp.id}`;
    assert.equal(done(await by(ann)('GET', at)).pluginSlug, 'notes');
    assert.equal(done(await by(ann)('PATCH', at, { allowedOrigins: ['https://www.example.com'] })).settings.allowedOrigins.length, 1);
    done(await by(ann)('PUT', `${at}/secrets/TOKEN`, { value: 'own token' }));
    done(await by(ann)('PUT', `${at}/config`, { values: { sheet: 'own sheet' } }));
    const seen = await call(annApp, 'look');
    assert.deepEqual(seen.secrets, { API_KEY: 'of the platform', TOKEN: 'own token' });
    assert.deepEqual(seen.config, { sheet: 'own sheet', limit: 5 });
    assert.equal((await call(benApp, 'look')).secrets.TOKEN, undefined, 'another project\'s sees none of it');
    done(await by(ann)('DELETE', `${at}/secrets/TOKEN`));
    done(await by(ann)('PUT', `${at}/config`, { values: {} }));
    for (const plugin of ['notes', notes.id]) {
        const widget = done(await by(ann)('POST', `/api/plugins/${plugin}/instances/${annApp.id}/widget-actions/x`, { a: 1 }));
        assert.deepEqual(widget.result, { widget: { a: 1 }, owner: ann.ownerId });
    }
    const rows = done(await by(ann)('GET', '/api/plugins/notes/database/tables/notes/rows'));
    assert.deepEqual(JSON.stringify(rows.rows).match(/of \w+/g), ['of ann']);
    assert.deepEqual(done(await by(ann)('GET', '/api/plugins/notes/instances')).data.map((i) => i.id), [annApp.id]);
    const form = 'content-disposition: form-data; name="file"; filename="a.txt"\r\ncontent-type: text/plain\r\n\r\nhello\r\n';
    const sent = await request(`${new URL(annApp.url).origin}/api/public-actions/${annApp.slug}/upload`,
        { method: 'POST', body: `--b\r\n${form}--b--\r\n`, headers: { 'content-type': 'multipart/form-data; boundary=b' } });
    assert.equal(sent.status, 200, sent.text);
    for (const filter of [`instance=${annApp.id}`, 'plugin=notes']) assert.equal(done(await by(ann)('GET', `/api/files?${filter}`)).data.length, 1);
    assert.equal(done(await by(platform)('GET', '/api/files?plugin=notes')).data.length, 0);
    const domain = done(await by(ann)('POST', '/api/public-apps/domains', { hostname: 'notes.customer-of-acme.com', instanceId: annApp.id }), 201);
    assert.equal(domain.instanceId, annApp.id);
    refused(await by(platform)('POST', '/api/public-apps/domains', { hostname: 'x.customer-of-acme.com', instanceId: annApp.id }), 404, 'instance_not_found');
});

test('a customer reads and changes nothing of the plugin itself', async () => {
    const deployment = done(await by(platform)('GET', '/api/plugins/notes')).deployment.id;
    for (const [method, where, body] of [['GET', `/api/plugins/${notes.id}`], ['GET', '/api/plugins/notes/deployments'], ['GET', `/api/plugins/notes/deployments/${deployment}/source.pie`],
        ['GET', `/api/plugins/notes/deployments/${deployment}/archive.tar`], ['POST', `/api/plugins/notes/deployments/${deployment}/activate`], ['DELETE', `/api/plugins/${notes.id}?force=true`],
        ['GET', '/api/plugins/notes/secrets'], ['PUT', '/api/plugins/notes/secrets/API_KEY', { value: 'x' }], ['PUT', `/api/plugins/${notes.id}`, pie('notes', {})]])
        refused(await by(ann)(method, where, body), 404, 'plugin_not_found');
    for (const stranger of [ben, eve, platform])
        for (const [method, where, body] of [['DELETE', `/api/plugins/${notes.id}/instances/${annApp.id}`], ['POST', `/api/plugins/${notes.id}/instances/${annApp.id}/tool`, {}],
            ['PATCH', `/api/public-apps/instances/${annApp.id}`, {}], ['GET', `/api/public-apps/instances/${annApp.id}/config`]])
            assert.equal((await by(stranger)(method, where, body)).status, 404, `${method} ${where}`);
});

test('a deploy of the platform moves all apps, and makes their tables', async () => {
    const was = await call(annApp, 'columns');
    await deploy(platform, 'notes', '1.1.0', { front: MANIFEST(', added: text') });
    for (const app of [annApp, benApp]) {
        assert.equal((await request(app.url)).text, '<title>notes 1.1.0</title>');
        assert.equal((await call(app, 'look')).version, '1.1.0');
        assert.deepEqual(await call(app, 'columns'), [...was, 'added']);
    }
    assert.equal(done(await by(ann)('GET', '/api/v1/flows')).data[0].plugin.version, '1.1.0');
});

test('what a customer did with its tables is counted for the platform, not shown', async () => {
    const database = await call(benApp, 'where');
    const role = sql(`select r.name from managed_roles r where r.project_id = '${ben.id}'`);
    execFileSync('psql', ['-X', '-q', '-h', process.env.STOA_TEST_PG, '-U', 'postgres', '-d', database, '-c',
        `alter table ${role}.notes alter column added type integer using null; create table ${role}.secret_table_of_ben (a int); alter table ${role}.secret_table_of_ben owner to ${role}`]);
    const { warnings } = await deploy(platform, 'notes', '1.1.1', { front: MANIFEST(', added: text') });
    assert.ok(warnings.some((w) => /In 1 other projects/.test(w.message ?? w)), JSON.stringify(warnings));
    const dry = done(await by(platform)('DELETE', '/api/plugins/notes?dryRun=true'));
    assert.deepEqual(dry.data.otherProjects, { projects: 2, instances: 2 });
    assert.ok(!JSON.stringify(dry).includes('secret_table_of_ben') && !JSON.stringify(warnings).includes(role));
});

test('a plugin of one\'s own comes before one of its name that is offered', async () => {
    const own = (await deploy(ann, 'extra', '9.0.0', { front: '' })).plugin;
    const app = await make(ann, 'extra');
    assert.equal(app.pluginId, own.id);
    const theirs = done(await by(platform)('GET', '/api/plugins/extra')).id;
    const second = await make(ann, theirs);
    assert.equal(second.pluginId, theirs);
    // but secrets that are meant for the platform's go to no plugin that took its name
    const mimic = (await deploy(ann, 'extra-by-name', '1.0.0', { front: "manifest:\n  pieceNames: ['@vendor/piece-notes', notes, own-name]\n" })).plugin;
    for (const name of ['extra', 'extra-by-name', theirs]) assert.equal(done(await by(ann)('GET', `/api/v1/pieces/${name}`)).id, theirs);
    assert.equal(done(await by(ann)('GET', '/api/v1/pieces/%40vendor%2Fpiece-notes')).id, notes.id);
    for (const name of [mimic.id, 'own-name']) assert.equal(done(await by(ann)('GET', `/api/v1/pieces/${name}`)).id, mimic.id);
    done(await change({ ids: ['notes', 'extra'], offered: false }));
    for (const [name, id] of [['notes', notes.id], ['extra-by-name', theirs]])
        assert.equal(done(await by(ann)('GET', `/api/v1/pieces/${name}`)).id, id, 'nor when it has apps of it only');
    done(await change({ ids: ['notes', 'extra'], offered: true }));
    done(await by(ann)('DELETE', '/api/plugins/extra-by-name'));
    assert.equal(done(await by(ann)('GET', `/api/v1/pieces/${own.id}`)).id, own.id);
    done(await by(ann)('DELETE', `/api/plugins/${theirs}/instances/${second.id}`));
    done(await by(ann)('DELETE', '/api/plugins/extra'));
});

test('apps stay when their plugin is offered no longer, and no more are made', async () => {
    done(await change({ ids: ['notes'], offered: false }));
    assert.deepEqual(await listed(ann), ['extra']);
    refused(await by(ann)('POST', '/api/plugins/notes/instances'), 404, 'plugin_not_found');
    assert.equal((await request(annApp.url)).status, 200);
    assert.equal((await call(annApp, 'list')).length, 1);
    assert.equal(done(await by(ann)('GET', '/api/v1/flows')).data.length, 1);
    done(await connect(ann, { pieceName: 'notes', externalId: 'still', secrets: { TOKEN: 'x' }, fields: { sheet: 's' } }), 201);
    done(await by(ann)('DELETE', '/api/v1/connections/still'));
    done(await change({ ids: ['notes'], offered: true }));
});

// --- connections ---

test('a connection reaches the handler, and no answer, log, trail or table', async () => {
    const answers = [];
    const made = await connect(ann, { pieceName: '@vendor/piece-notes', externalId: 'gsheets', secrets: { TOKEN: MARKER }, fields: { sheet: `${MARKER}-sheet`, limit: 7 } });
    const connection = done(made, 201);
    answers.push(made.text);
    assert.match(connection.id, /^con_/);
    assert.deepEqual([connection.externalId, connection.displayName, connection.pieceName, connection.status, connection.pluginId],
        ['gsheets', 'gsheets', '@vendor/piece-notes', 'ACTIVE', notes.id]);
    const seen = await call(annApp, 'look');
    assert.deepEqual(seen.secrets, { API_KEY: 'of the platform', TOKEN: MARKER });
    assert.deepEqual(seen.config, { sheet: `${MARKER}-sheet`, limit: 7 });
    assert.equal((await call(benApp, 'look')).secrets.TOKEN, undefined);
    for (const where of ['/api/v1/connections', '/api/v1/connections/gsheets', `/api/v1/connections/${connection.id}`, `/api/public-apps/instances/${annApp.id}`,
        `/api/public-apps/instances/${annApp.id}/config`, `/api/public-apps/instances/${annApp.id}/secrets`, '/api/v1/flows', '/api/v1/pieces/notes'])
        answers.push((await by(ann)('GET', where)).text);
    const config = done(await by(ann)('GET', `/api/public-apps/instances/${annApp.id}/config`));
    assert.deepEqual([config.values, config.connected, config.missing], [{ limit: 5 }, ['limit', 'sheet'], []]);
    const secrets = done(await by(ann)('GET', `/api/public-apps/instances/${annApp.id}/secrets`)).data;
    assert.deepEqual(secrets.map((s) => [s.name, s.set, s.connected]), [['OTHER', false, false], ['TOKEN', false, true]]);
    answers.push((await connect(ann, { pieceName: 'notes', externalId: 'gsheets', secrets: { WRONG: MARKER, TOKEN: 7 }, fields: { sheet: MARKER, limit: MARKER } })).text);
    for (const text of answers) assert.ok(!text.includes(MARKER), text);
    assert.ok(!server.log().includes(MARKER), 'not in the log');
    const dump = execFileSync('pg_dump', [server.databaseUrl, '--exclude-schema=pl*'], { encoding: 'latin1', maxBuffer: 1 << 28, env: { PATH: `${process.env.PATH}:/usr/lib/postgresql/15/bin` } });
    assert.ok(dump.includes('connection_values'));
    for (const form of [MARKER, Buffer.from(MARKER).toString('hex'), Buffer.from(MARKER).toString('base64')]) assert.ok(!dump.includes(form), `not in the database as ${form}`);
    const trail = sql(`select action || ' ' || facts::text from audit_events where project_id = '${ann.id}' and action like 'connection.%' order by seq desc limit 1`);
    assert.match(trail, /^connection.create .*"gsheets".*"TOKEN"/);
});

test('the instance\'s own values stand over a connection\'s', async () => {
    const at = `/api/public-apps/instances/${annApp.id}`;
    done(await by(ann)('PUT', `${at}/secrets/TOKEN`, { value: 'own' }));
    done(await by(ann)('PUT', `${at}/config`, { values: { limit: 2 } }));
    const seen = await call(annApp, 'look');
    assert.equal(seen.secrets.TOKEN, 'own');
    assert.deepEqual(seen.config, { sheet: `${MARKER}-sheet`, limit: 2 });
    done(await by(ann)('DELETE', `${at}/secrets/TOKEN`));
    done(await by(ann)('PUT', `${at}/config`, { values: {} }));
    done(await by(platform)('PUT', '/api/plugins/notes/secrets/TOKEN', { value: 'fallback' }));
    assert.equal((await call(annApp, 'look')).secrets.TOKEN, MARKER, 'and it over the plugin\'s');
    assert.equal((await call(benApp, 'look')).secrets.TOKEN, 'fallback');
    done(await by(platform)('DELETE', '/api/plugins/notes/secrets/TOKEN'));
});

test('the same name connects again: values are replaced, the id stays', async () => {
    const before = done(await by(ann)('GET', '/api/v1/connections/gsheets'));
    const again = done(await connect(ann, { pieceName: 'notes', externalId: 'gsheets', displayName: 'Sheets', secrets: { TOKEN: 'second', OTHER: null }, fields: { sheet: 'b' } }));
    assert.equal(again.id, before.id);
    assert.deepEqual([again.displayName, again.pieceName], ['Sheets', 'notes']);
    const seen = await call(annApp, 'look');
    assert.deepEqual([seen.secrets.TOKEN, seen.config], ['second', { sheet: 'b', limit: 5 }]);
    refused(await connect(ann, { pieceName: 'extra', externalId: 'gsheets' }), 409, 'connection_name_taken');
    assert.equal((await call(annApp, 'look')).secrets.TOKEN, 'second');
});

test('of several the newest is used, or the one that the app names', async () => {
    done(await connect(ann, { pieceName: 'notes', externalId: 'second', secrets: { TOKEN: 'of the second' }, fields: { sheet: 's2' } }), 201);
    const at = `/api/public-apps/instances/${annApp.id}`;
    assert.equal((await call(annApp, 'look')).secrets.TOKEN, 'of the second');
    assert.equal(done(await by(ann)('PATCH', at, { connection: 'gsheets' })).settings.connection, 'gsheets');
    const seen = await call(annApp, 'look');
    assert.deepEqual([seen.secrets.TOKEN, seen.config.sheet], ['second', 'b']);
    assert.ok(refused(await by(ann)('PATCH', at, { connection: 'none' }), 422, 'invalid_settings').details.fields.connection);
    done(await by(ann)('DELETE', '/api/v1/connections/gsheets'));
    assert.equal((await call(annApp, 'look')).secrets.TOKEN, undefined, 'a named one that is gone is no other');
    assert.equal(done(await by(ann)('PATCH', at, { connection: null })).settings.connection, null);
    assert.equal((await call(annApp, 'look')).secrets.TOKEN, 'of the second');
    const list = done(await by(ann)('GET', '/api/v1/connections?pieceName=notes'));
    assert.deepEqual(list.data.map((c) => c.externalId), ['second']);
});

test('values are held against the manifest', async () => {
    const good = { pieceName: 'notes', externalId: 'checked', secrets: { TOKEN: 'x' }, fields: { sheet: 's' } };
    for (const [change, field] of [[{ secrets: {} }, 'secrets.TOKEN'], [{ secrets: { TOKEN: '' } }, 'secrets.TOKEN'], [{ secrets: { TOKEN: 1 } }, 'secrets.TOKEN'],
        [{ secrets: { TOKEN: 'x'.repeat(65537) } }, 'secrets.TOKEN'], [{ secrets: { TOKEN: 'x', API_KEY: 'y' } }, 'secrets.API_KEY'], [{ fields: {} }, 'fields.sheet'],
        [{ fields: { sheet: '' } }, 'fields.sheet'], [{ fields: { sheet: 's', limit: 11 } }, 'fields.limit'], [{ fields: { sheet: 's', often: 'never' } }, 'fields.often'],
        [{ fields: { sheet: 's', more: 1 } }, 'fields.more'], [{ externalId: '' }, 'externalId'], [{ externalId: 'x'.repeat(257) }, 'externalId'],
        [{ displayName: 'a\u0007b' }, 'displayName'], [{ displayName: 'a\u009bb' }, 'displayName'], [{ externalId: '  ' }, 'externalId'],
        [{ fields: { sheet: 'x'.repeat(10001) } }, 'fields.sheet']])
        assert.ok(refused(await connect(ann, { ...good, ...change }), 422, 'invalid_connection').details.fields[field], field);
    refused(await connect(ann, { ...good, secrets: [] }), 422, 'invalid_request');
    refused(await connect(ann, { ...good, pieceName: 'hidden' }), 404, 'piece_not_found');
    refused(await connect(eve, good), 404, 'piece_not_found');
    refused(await connect(ann, { ...good, secrets: { TOKEN: 'x'.repeat(600000) } }), 413, 'body_too_large');
    refused(await by(ann)('GET', '/api/v1/connections/checked'), 404, 'connection_not_found');
});

test('of several first ones at once one makes it, all succeed, and values never mix', async () => {
    const wanted = (n) => ({ pieceName: 'notes', externalId: 'at once', secrets: { TOKEN: `t${n}`, OTHER: `o${n}` }, fields: { sheet: `s${n}` } });
    const answers = await Promise.all([0, 1, 2, 3, 4, 5].map((n) => connect(ann, wanted(n))));
    assert.deepEqual(answers.map((a) => a.status).sort(), [200, 200, 200, 200, 200, 201]);
    const at = `/api/public-apps/instances/${annApp.id}`;
    done(await by(ann)('PATCH', at, { connection: 'at once' }));
    const seen = await call(annApp, 'look');
    assert.deepEqual([seen.secrets.TOKEN, seen.secrets.OTHER, seen.config.sheet].map((v) => v.slice(1)), Array(3).fill(seen.secrets.TOKEN.slice(1)));
    done(await by(ann)('PATCH', at, { connection: null }));
    const first = done(await by(ann)('GET', '/api/v1/connections?limit=1'));
    const second = done(await by(ann)('GET', `/api/v1/connections?limit=1&cursor=${first.next}`));
    assert.deepEqual([first.data[0].externalId, second.data[0].externalId, second.next], ['at once', 'second', null]);
    assert.deepEqual(done(await by(ann)('GET', `/api/v1/connections?limit=1&cursor=${second.previous}`)).data, first.data);
    done(await by(ann)('DELETE', '/api/v1/connections/at%20once'));
});

test('another project finds no connection', async () => {
    const { id } = done(await by(ann)('GET', '/api/v1/connections/second'));
    for (const stranger of [ben, eve, platform, server]) {
        for (const ref of [id, 'second'])
            for (const method of ['GET', 'DELETE']) refused(await by(stranger)(method, `/api/v1/connections/${ref}`), 404, 'connection_not_found');
        assert.equal(done(await by(stranger)('GET', '/api/v1/connections')).data.length, 0);
    }
    refused(await by(ben)('PATCH', `/api/public-apps/instances/${benApp.id}`, { connection: 'second' }), 422, 'invalid_settings');
});

test('a connection that a new version asks more of says so', async () => {
    assert.equal(done(await by(ann)('GET', '/api/v1/connections/second')).status, 'ACTIVE');
    await deploy(platform, 'notes', '1.2.0', { front: MANIFEST(', added: text').replace('OTHER: { description: Not needed }', 'OTHER: { description: Now needed, required: true }') });
    assert.equal(done(await by(ann)('GET', '/api/v1/connections')).data[0].status, 'ERROR');
    await deploy(platform, 'notes', '1.3.0', { front: MANIFEST(', added: text') });
});

test('values copied to another row open nowhere', async () => {
    const mine = done(await connect(ben, { pieceName: 'notes', externalId: 'bens', secrets: { TOKEN: 'of ben' }, fields: { sheet: 's' } }), 201);
    const theirs = done(await by(ann)('GET', '/api/v1/connections/second')).id;
    assert.equal((await call(benApp, 'look')).secrets.TOKEN, 'of ben');
    sql(`update connection_values v set value = w.value from connection_values w where v.connection_id = '${mine.id}' and w.connection_id = '${theirs}'
        and v.kind = 'secret' and w.kind = 'secret' and v.name = w.name`);
    const answer = await request(`${new URL(benApp.url).origin}/api/public-actions/${benApp.slug}/look`, { method: 'POST' });
    assert.equal(answer.status, 502, answer.text);
    done(await by(ben)('DELETE', `/api/v1/connections/${mine.id}`));
    assert.equal((await call(benApp, 'look')).secrets.TOKEN, undefined);
});

// --- the command line ---

test('stoa pieces and stoa instance settings do the same', async () => {
    const stoa = (token, ...args) => execFileSync(server.stoaBin, args,
        { encoding: 'utf8', env: { PATH: process.env.PATH, HOME: server.home, STOA_URL: server.console, STOA_TOKEN: token, ASAN_OPTIONS: 'exitcode=99' } });
    assert.match(stoa(platform.token, 'pieces', 'hidden', 'offered=yes', 'tags=+a tag,b'), /hidden +hidden +1.0.0 +yes +a tag,b/);
    assert.match(stoa(ann.token, 'pieces'), /hidden/);
    assert.match(stoa(platform.token, 'pieces', 'hidden', 'offered=no', 'tags=-b'), /hidden +hidden +1.0.0 +no +a tag\n/);
    assert.doesNotMatch(stoa(ann.token, 'pieces'), /hidden/);
    for (const wrong of [['offered=yes'], ['hidden', 'offered=perhaps'], ['hidden', 'what=ever'], ['hidden', 'tags=+']])
        assert.throws(() => stoa(platform.token, 'pieces', ...wrong), { status: 2 });
    done(await connect(ann, { pieceName: 'notes', externalId: 'by name', secrets: { TOKEN: 'x' }, fields: { sheet: 's' } }), 201);
    assert.match(stoa(ann.token, 'instance', 'settings', annApp.id, 'connection=by name'), /connection +by name/);
    assert.match(stoa(ann.token, 'instance', 'settings', annApp.id, 'connection='), /connection +the newest/);
    done(await by(ann)('DELETE', '/api/v1/connections/by%20name'));
    assert.throws(() => stoa(platform.token, 'delete', 'notes', '--yes', '--delete-data'), (e) => /2 apps of other projects.*--force/s.test(e.stderr));
});

// --- the end ---

test('a plugin that others have apps of goes only by force, and stands in their trail', async () => {
    const said = refused(await by(platform)('DELETE', '/api/plugins/notes?data=delete'), 409, 'has_instances');
    assert.deepEqual(said.details.data.otherProjects, { projects: 2, instances: 2 });
    assert.ok(!JSON.stringify(said).includes(ann.id) && !JSON.stringify(said).includes('customer-of-acme'));
    done(await by(platform)('DELETE', '/api/plugins/notes?data=delete&force=true'));
    await until(async () => (await request(annApp.url)).status === 404, 'no page', 5000 * slowness());
    assert.equal(done(await by(ann)('GET', '/api/v1/flows')).data.length, 0);
    assert.equal(done(await by(ann)('GET', '/api/v1/connections')).data.length, 0);
    for (const customer of [ann, ben])
        assert.match(sql(`select action || facts::text from audit_events where project_id = '${customer.id}' order by seq desc limit 1`), /^plugin.delete.*"notes"/);
    const offers = sql(`select string_agg(action, ' ') from audit_events where project_id = '${platform.ownerProjectId}' and action = 'pieces.change'`);
    assert.ok(offers.split(' ').length >= 4);
});

test('without a domain for apps, a second project\'s pages are not put on the shared origin', async (t) => {
    const closed = await startServer();
    t.after(() => closed.stop());
    const api = (token) => (method, where, body) => closed.api(method, where, body, { token });
    const made = done(await closed.api('POST', '/api/v1/platforms', { displayName: 'P', slug: 'plat' }), 201);
    const customer = done(await api(made.token)('POST', '/api/v1/projects', { displayName: 'c', externalId: 'c' }), 201);
    done(await api(made.token)('POST', '/api/plugins/import', pie('paged', { 'index.html': 'x' })), 201);
    done(await api(made.token)('POST', '/api/plugins/import', pie('bare')), 201);
    done(await api(made.token)('PATCH', '/api/v1/pieces', { ids: ['paged', 'bare'], offered: true }));
    refused(await api(customer.token)('POST', '/api/plugins/paged/instances'), 409, 'instance_domain_required');
    done(await api(customer.token)('POST', '/api/plugins/bare/instances'), 201);
    refused(await api(made.token)('POST', '/api/plugins/import', pie('bare', { 'index.html': 'now with pages' }, { version: '2.0.0' })), 409, 'instance_domain_required');
});

// --- by sessions, as an exchange makes them ---

test('what a session may make follows from its token, and from its role', async () => {
    const PAGE = 'https://app.example.com';
    const acme = await makePlatform(server, 'by-sessions');
    const key = await acme.makeKey({ allowedOrigins: [PAGE] });
    for (const name of ['basic', 'premium', 'inner']) done(await acme.api('POST', '/api/plugins/import', pie(name, { 'index.html': name }, { front: MANIFEST(), code: CODE('1') })), 201);
    done(await acme.api('PATCH', '/api/v1/pieces', { ids: ['basic', 'premium'], offered: true }));
    done(await acme.api('PATCH', '/api/v1/pieces', { ids: ['basic'], addTags: ['free'] }));
    const session = async (role, more = {}) => {
        const { token } = done(await acme.exchange(key.sign({ externalUserId: role, role, ...more }), { origin: PAGE }));
        return (method, where, body) => server.api(method, where, body, { token, headers: { origin: PAGE } });
    };
    const pieces = async (who) => slugs(done(await who('GET', '/api/v1/pieces')));

    const editor = await session('Editor');
    assert.deepEqual(await pieces(editor), ['basic', 'premium']);
    const app = done(await editor('POST', '/api/plugins/premium/instances'), 201);
    assert.equal((await request(app.url)).text, 'premium');
    refused(await editor('POST', '/api/plugins/inner/instances'), 404, 'plugin_not_found');
    refused(await editor('PATCH', '/api/v1/pieces', { ids: ['inner'], offered: true }), 403, 'not_for_sessions');

    const viewer = await session('Viewer', { piecesFilterType: 'ALLOWED', piecesTags: ['free', 'other'] });
    assert.deepEqual(await pieces(viewer), ['basic'], 'as the last exchange left it');
    assert.deepEqual(await pieces(editor), ['basic'], 'for all of the project');
    refused(await editor('POST', '/api/plugins/premium/instances'), 404, 'plugin_not_found');
    assert.equal((await request(app.url)).text, 'premium', 'what was made goes on');
    assert.deepEqual(done(await viewer('GET', '/api/v1/flows')).data.map((f) => f.publicAppUrl), [app.url]);
    refused(await viewer('POST', '/api/plugins/basic/instances'), 403, 'role_too_low');
    refused(await viewer('POST', '/api/v1/connections', { pieceName: 'basic' }), 403, 'role_too_low');
    refused(await viewer('DELETE', '/api/v1/connections/none'), 403, 'role_too_low');

    const operator = await session('Operator');
    assert.deepEqual(await pieces(operator), ['basic', 'premium'], 'NONE is the whole catalogue again');
    const wanted = { pieceName: 'premium', externalId: 'by session', secrets: { TOKEN: 't' }, fields: { sheet: 's' } };
    const made = done(await operator('POST', '/api/v1/connections', wanted), 201);
    assert.deepEqual(done(await viewer('GET', '/api/v1/connections')).data, [made]);
    assert.equal((await call(app, 'look')).secrets.TOKEN, 't');
    refused(await operator('POST', '/api/plugins/basic/instances'), 403, 'role_too_low');
    done(await operator('DELETE', `/api/v1/connections/${made.id}`));

    const elsewhere = await session('Admin', { externalProjectId: 'workspace-2' });
    assert.deepEqual(done(await elsewhere('GET', '/api/v1/flows')).data, []);
    refused(await elsewhere('GET', `/api/v1/flows/${app.id}`), 404, 'instance_not_found');
    refused(await elsewhere('DELETE', `/api/plugins/premium/instances/${app.id}`), 404, 'plugin_not_found');
    const sessionId = sql(`select actor from audit_events where subject = '${app.id}' and action = 'instance.create'`);
    assert.match(sessionId, /^ses_/);
});

test('each app has a host of its own, and a newer master key seals connections again', async (t) => {
    const database = await freshDatabase(temporaryRoot());
    const settings = { instance_domain: 'apps.localhost' };
    const start = async (more) => {
        const started = await startServer({ database: database.url, settings, ...more });
        t.after(() => started.stop());
        return started;
    };
    const one = await start();
    const acme = await makePlatform(one, 'acme');
    const customer = done(await acme.api('POST', '/api/v1/projects', { displayName: 'c', externalId: 'c' }), 201);
    done(await acme.api('POST', '/api/plugins/import', pie('notes', { 'index.html': 'hello' }, { front: MANIFEST(), code: CODE('1') })), 201);
    done(await acme.api('PATCH', '/api/v1/pieces', { ids: ['notes'], offered: true }));
    const app = done(await one.api('POST', '/api/plugins/notes/instances', undefined, { token: customer.token }), 201);
    const wanted = { pieceName: 'notes', externalId: 'kept', secrets: { TOKEN: 'kept', OTHER: 'too' }, fields: { sheet: 's', topics: ['a', 'b'] } };
    done(await one.api('POST', '/api/v1/connections', wanted, { token: customer.token }), 201);
    const look = async (server) => {
        const host = new URL(app.url).host.replace(/:.*/, '');
        assert.equal((await request(`${server.apps}/`, { headers: { host: `${host}:${new URL(server.apps).port}` } })).text, 'hello');
        const answer = await request(`${server.apps}/api/public-actions//look`, { method: 'POST', headers: { host: `${host}:${new URL(server.apps).port}` } });
        assert.equal(answer.status, 200, answer.text);
        assert.deepEqual(answer.json.data.secrets, { TOKEN: 'kept', OTHER: 'too' });
        assert.deepEqual(answer.json.data.config, { sheet: 's', topics: ['a', 'b'], limit: 5 });
    };
    await look(one);
    assert.equal(done(await one.api('GET', '/api/v1/flows', undefined, { token: customer.token })).data[0].publicAppUrl, app.url);
    // a preview is the platform's own app's, or nobody's
    const plugin = done(await acme.api('GET', '/api/plugins/notes'));
    const preview = () => request(`${one.apps}/`, { headers: { host: `p-${plugin.deployment.id}.apps.localhost:${new URL(one.apps).port}` } });
    assert.equal((await preview()).text, 'hello');
    done(await acme.api('DELETE', `/api/plugins/notes/instances/${plugin.instance.id}`));
    assert.equal((await preview()).status, 404);
    await one.stop();
    const hex = fs.readFileSync(path.join(one.dataDir, 'keys/master.key'), 'utf8').trim().split('\n').at(-1);
    const newer = 'e'.repeat(64);
    const rotated = await start({ dataDir: one.dataDir, env: { STOA_MASTER_KEY: `${newer},${hex}` } });
    await rotated.logged(/connections were sealed under the newest master key values=4/);
    await rotated.stop();
    const after = await start({ dataDir: one.dataDir, env: { STOA_MASTER_KEY: newer } });
    await look(after);
    await after.stop();
});
