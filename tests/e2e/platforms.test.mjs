// Platforms (contract §7): who makes them, what their own tokens may do, that none sees another's, and the trail they read.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { after, before, test } from 'node:test';
import { pie } from '../harness/pie.mjs';
import { startServer } from '../harness/server.mjs';

let server, acme, other;
before(async () => {
    server = await startServer({ settings: { shared_origin: 'accepted' } });
    acme = (await server.api('POST', '/api/v1/platforms', { displayName: 'Acme', slug: 'acme' })).json;
    other = (await server.api('POST', '/api/v1/platforms', { displayName: 'Other', slug: 'other' })).json;
});
after(() => server.stop());

const by = (platform) => (method, where, body) => server.api(method, where, body, { token: platform.token });
const sql = (text) => String(server.database.query(text)).trim();

function refused(answer, status, code) {
    assert.equal(answer.status, status, answer.text);
    assert.equal(answer.json.code, code);
    assert.equal(answer.json.requestId, answer.headers['x-request-id']);
    return answer.json;
}

function done(answer, status = 200) {
    assert.equal(answer.status, status, answer.text);
    return answer.json;
}

/** A user as an exchange leaves one. */
function user(platform, externalId, projectId, role = 'Editor') {
    const id = sql(`insert into users (id, platform_id, external_id, display_name, first_name, last_name) values (gen_random_uuid(),
        '${platform.id}', '${externalId}', 'Ada Lovelace', 'Ada', 'Lovelace') returning id`).split('\n')[0];
    sql(`insert into project_members (project_id, user_id, role, issued_at) values ('${projectId}', '${id}', '${role}', 1)`);
    return id;
}

async function pages(api, where, limit) {
    const all = [];
    for (let cursor = ''; ;) {
        const page = done(await api('GET', `${where}${where.includes('?') ? '&' : '?'}limit=${limit}${cursor}`));
        assert.ok(page.data.length <= limit);
        all.push(...page.data);
        if (page.next === null) return all;
        cursor = `&cursor=${encodeURIComponent(page.next)}`;
    }
}

test('the operator makes platforms, each with a project and a token', async () => {
    assert.match(acme.id, /^plt_/);
    assert.match(acme.token, /^stoa_[A-Za-z0-9_-]{43}$/);
    assert.equal(acme.slug, 'acme');
    assert.equal(acme.ownerProject.id, acme.ownerProjectId);
    assert.equal(acme.ownerProject.isOwnerProject, true);
    assert.equal(acme.ownerProject.platformId, acme.id);
    const listed = done(await server.api('GET', '/api/v1/platforms'));
    assert.deepEqual(listed.data.map((p) => p.slug), ['other', 'acme']);
    assert.ok(!JSON.stringify(listed).includes('stoa_'));
    assert.equal((await pages(server.api, '/api/v1/platforms', 1)).length, 2);
    assert.equal(done(await server.api('GET', '/api/v1/platforms/acme')).id, acme.id);
    assert.equal(done(await server.api('GET', `/api/platforms/${acme.id}`)).slug, 'acme');
    refused(await server.api('GET', '/api/v1/platforms/nobody'), 404, 'platform_not_found');
    refused(await server.api('POST', '/api/v1/platforms', { displayName: 'Again', slug: 'acme' }), 409, 'platform_slug_taken');
    for (const slug of ['', 'ab', 'Acme', '-abc', 'abc-', 'a_b', 'a.b', 'x'.repeat(41)])
        assert.ok(refused(await server.api('POST', '/api/v1/platforms', { displayName: 'X', slug }), 422, 'invalid_request').details.fields.slug, slug);
});

test('only the operator does, and a platform is not managed with the operator\'s token', async () => {
    const project = done(await server.api('POST', '/api/projects', { displayName: 'Plain' }), 201);
    for (const token of [acme.token, project.token]) {
        refused(await server.api('POST', '/api/v1/platforms', { displayName: 'X', slug: 'xyz' }, { token }), 403, 'scope_too_low');
        refused(await server.api('GET', '/api/v1/platforms', undefined, { token }), 403, 'scope_too_low');
    }
    for (const where of ['/api/v1/projects', '/api/v1/users', `/api/v1/projects/${acme.ownerProjectId}`])
        refused(await server.api('GET', where), 403, 'platform_token_needed');
    refused(await server.api('GET', '/api/v1/users', undefined, { token: project.token }), 403, 'scope_too_low');
    refused(await server.api('POST', '/api/tokens', { name: 'x', scope: 'platform' }), 403, 'platform_token_needed');
});

test('a platform that lost its token gets another; revoking one ends what it made', async () => {
    const lost = done(await server.api('POST', '/api/v1/platforms', { displayName: 'Lost', slug: 'lost' }), 201);
    const again = done(await server.api('POST', '/api/v1/platforms/lost/tokens', { name: 'second' }), 201);
    assert.equal(again.scope, 'platform');
    const own = done(await by(again)('POST', '/api/tokens', { name: 'third', scope: 'platform' }), 201);
    done(await by(own)('GET', '/api/v1/projects'));
    const admin = done(await by(own)('POST', '/api/tokens', { name: 'admin', scope: 'admin' }), 201);
    refused(await by(admin)('POST', '/api/tokens', { name: 'more', scope: 'platform' }), 403, 'scope_too_low');
    refused(await by(admin)('GET', '/api/v1/projects'), 403, 'scope_too_low');
    done(await by(again)('DELETE', `/api/tokens/${again.id}`));
    refused(await by(own)('GET', '/api/v1/projects'), 401, 'unauthorized');
    done(await by(lost)('GET', '/api/v1/projects'));
});

test('one endpoint makes projects: the platform\'s own, or the operator\'s of none', async () => {
    const plain = done(await server.api('POST', '/api/v1/projects', { displayName: 'Plain' }), 201);
    assert.equal(plain.platformId, null);
    assert.equal(plain.externalId, null);
    refused(await server.api('POST', '/api/projects', { displayName: 'X', externalId: 'x' }), 422, 'invalid_request');
    refused(await server.api('POST', '/api/projects', { displayName: 'X' }, { token: plain.token }), 403, 'scope_too_low');
    const made = done(await by(acme)('POST', '/api/v1/projects', { displayName: 'Workspace 7', externalId: 'ws-7' }), 201);
    assert.equal(made.platformId, acme.id);
    assert.equal(made.externalId, 'ws-7');
    assert.equal(made.isOwnerProject, false);
    assert.equal(made.piecesFilterType, 'NONE');
    assert.deepEqual(made.piecesTags, []);
    assert.match(made.ownerId, /^[0-9a-f-]{36}$/);
    done(await by(made)('POST', '/api/plugins/import', pie('workspace', { 'index.html': '<p>seven' })), 201); // its first token is an admin's
    refused(await by(acme)('POST', '/api/v1/projects', { displayName: 'X', externalId: 'ws-7' }), 409, 'external_id_taken');
    done(await by(other)('POST', '/api/v1/projects', { displayName: 'Theirs', externalId: 'ws-7' }), 201);
    for (const externalId of ['', 'x'.repeat(257), 'a\nb'])
        refused(await by(acme)('POST', '/api/v1/projects', { displayName: 'X', externalId }), 422, 'invalid_request');
});

test('projects are listed, found by their external id, and renamed', async () => {
    for (let i = 0; i !== 4; ++i) done(await by(acme)('POST', '/api/v1/projects', { displayName: `Listed ${i}` }), 201);
    const all = await pages(by(acme), '/api/v1/projects', 3);
    assert.deepEqual(all.slice(0, 4).map((p) => p.displayName), [3, 2, 1, 0].map((i) => `Listed ${i}`));
    assert.equal(all.at(-1).id, acme.ownerProjectId);
    assert.ok(all.every((p) => p.platformId === acme.id));
    const [seven] = done(await by(acme)('GET', '/api/v1/projects?externalId=ws-7')).data;
    assert.equal(seven.displayName, 'Workspace 7');
    assert.deepEqual(done(await by(acme)('GET', `/api/v1/projects/${seven.id}`)), seven);
    assert.equal(done(await by(acme)('PATCH', `/api/v1/projects/${seven.id}`, { displayName: 'Renamed' })).displayName, 'Renamed');
    assert.equal(done(await by(acme)('PATCH', `/api/v1/projects/${seven.id}`, {})).displayName, 'Renamed');
    refused(await by(acme)('PATCH', `/api/v1/projects/${seven.id}`, { displayName: ' ' }), 422, 'invalid_request');
    refused(await by(acme)('PATCH', `/api/v1/projects/${seven.id}`, { externalId: 'x' }), 422, 'invalid_request');
});

test('users are listed with what they are where, and switched off and on', async () => {
    const project = done(await by(acme)('POST', '/api/v1/projects', { displayName: 'Staffed', externalId: 'staffed' }), 201);
    const ada = user(acme, 'ada', project.id, 'Admin'), eve = user(acme, 'eve', project.id);
    user(acme, 'elsewhere', acme.ownerProjectId);
    const all = await pages(by(acme), '/api/v1/users', 2);
    assert.deepEqual(all.map((u) => u.externalId).sort(), ['ada', 'elsewhere', 'eve']);
    assert.deepEqual((await pages(by(acme), `/api/v1/users?projectId=${project.id}`, 1)).map((u) => u.id).sort(), [ada, eve].sort());
    const [found] = done(await by(acme)('GET', '/api/v1/users?externalId=ada')).data;
    assert.equal(found.id, ada);
    assert.equal(found.status, 'ACTIVE');
    assert.equal(found.platformRole, 'MEMBER');
    assert.deepEqual(found.projects, [{ projectId: project.id, externalId: 'staffed', role: 'Admin' }]);
    assert.deepEqual(done(await by(acme)('GET', `/api/v1/users/${ada}`)), found);
    assert.equal(done(await by(acme)('PATCH', `/api/v1/users/${ada}`, { status: 'INACTIVE' })).status, 'INACTIVE');
    assert.equal(done(await by(acme)('PATCH', `/api/v1/users/${ada}`, { status: 'INACTIVE' })).status, 'INACTIVE');
    assert.equal(done(await by(acme)('PATCH', `/api/v1/users/${ada}`, { status: 'ACTIVE' })).status, 'ACTIVE');
    refused(await by(acme)('PATCH', `/api/v1/users/${ada}`, { status: 'off' }), 422, 'invalid_request');
    refused(await by(acme)('PATCH', `/api/v1/users/${ada}`, {}), 422, 'invalid_request');
    refused(await by(acme)('GET', '/api/v1/users/nobody'), 404, 'user_not_found');
    const told = done(await by(acme)('GET', `/api/v1/audit-events?projectId=${acme.ownerProjectId}`)).data.filter((e) => e.subject === ada);
    assert.deepEqual(told.map((e) => e.action), ['user.activate', 'user.deactivate'], 'what changed nothing is not told');
    // Owners of projects are nobody's users.
    refused(await by(acme)('GET', `/api/v1/users/${project.ownerId}`), 404, 'user_not_found');
});

test('another platform\'s is not found, in the same words as what is nowhere', async () => {
    const project = done(await by(acme)('POST', '/api/v1/projects', { displayName: 'Mine', externalId: 'hidden' }), 201);
    const mine = user(acme, 'hidden', project.id);
    const nowhere = { project: 'prj_nowhere', user: '00000000-0000-4000-8000-000000000000' };
    for (const [method, where, body] of [
        ['GET', '/api/v1/projects/PROJECT'], ['PATCH', '/api/v1/projects/PROJECT', { displayName: 'Stolen' }],
        ['GET', '/api/v1/users/USER'], ['PATCH', '/api/v1/users/USER', { status: 'INACTIVE' }],
        ['GET', '/api/v1/audit-events?projectId=PROJECT'],
    ]) {
        const at = (p, u) => where.replace('PROJECT', p).replace('USER', u);
        const theirs = await by(other)(method, at(project.id, mine), body);
        const absent = await by(other)(method, at(nowhere.project, nowhere.user), body);
        assert.equal(theirs.status, 404, `${method} ${where}: ${theirs.text}`);
        assert.deepEqual({ ...theirs.json, requestId: '' }, { ...absent.json, requestId: '' });
    }
    for (const where of ['/api/v1/projects?externalId=hidden', '/api/v1/users?externalId=hidden', `/api/v1/users?projectId=${project.id}`])
        assert.deepEqual(done(await by(other)('GET', where)).data, [], where);
    assert.ok(!(await pages(by(other), '/api/v1/audit-events', 50)).some((e) => e.projectId === project.id));
    assert.equal(done(await by(acme)('GET', `/api/v1/users/${mine}`)).status, 'ACTIVE');
    assert.equal(done(await by(acme)('GET', `/api/v1/projects/${project.id}`)).displayName, 'Mine');
});

test('hostile cursors and ids are refused, not stumbled over', async () => {
    const cursor = (text) => encodeURIComponent(Buffer.from(text).toString('base64url'));
    for (const where of ['/api/v1/projects', '/api/v1/users', '/api/v1/audit-events'])
        for (const text of ['n1:x', 'p1:\'; --', `n1:${'9'.repeat(30)}`, `n1:prj_x.${'9'.repeat(25)}`]) {
            const answer = await by(acme)('GET', `${where}?cursor=${cursor(text)}`);
            assert.ok([200, 422].includes(answer.status), `${where} ${text}: ${answer.text}`);
        }
    for (const id of ['%27', 'a%20b', '{}', '0'.repeat(36), `${'0'.repeat(8)}-zzzz-0000-0000-${'0'.repeat(12)}`])
        for (const where of ['/api/v1/projects/', '/api/v1/users/']) assert.equal((await by(acme)('GET', where + id)).status, 404, id);
});

test('the trail: who, what, whence, newest first, a project\'s own or the platform\'s whole', async () => {
    const project = done(await by(acme)('POST', '/api/v1/projects', { displayName: 'Trailed' }), 201);
    const deployed = await by(project)('POST', '/api/plugins/import', pie('trailed', { 'index.html': '<p>hello' }));
    done(deployed, 201);
    const renamed = await by(acme)('PATCH', `/api/v1/projects/${project.id}`, { displayName: 'Anew' });
    const own = done(await by(project)('GET', '/api/v1/audit-events')).data;
    assert.ok(own.every((e) => e.projectId === project.id));
    assert.deepEqual(own.slice(-2).map((e) => e.action), ['token.create', 'project.create']);
    assert.equal(own[0].action, 'project.change');
    assert.equal(own[0].actor, acme.tokenId);
    assert.equal(own[0].subject, project.id);
    assert.equal(own[0].requestId, renamed.headers['x-request-id']);
    assert.match(own[0].address, /^(127\.0\.0\.1|::1)$/);
    assert.deepEqual(own[0].facts, { displayName: 'Anew' });
    assert.ok(own.some((e) => e.requestId === deployed.headers['x-request-id']), 'the deploy is told');
    assert.deepEqual(done(await by(acme)('GET', `/api/v1/audit-events?projectId=${project.id}`)).data, own);
    const whole = await pages(by(acme), '/api/v1/audit-events', 7);
    assert.equal(new Set(whole.map((e) => e.id)).size, whole.length);
    assert.ok(new Set(whole.map((e) => e.projectId)).size > 3);
    for (let i = 1; i < whole.length; ++i) assert.ok(whole[i - 1].at >= whole[i].at, 'newest first');
    assert.deepEqual(whole.filter((e) => e.projectId === project.id), own);
    assert.equal(whole.filter((e) => e.action === 'platform.create').length, 1);
    assert.equal(whole.length, Number(sql(`select count(*) from audit_events e join projects p on p.id = e.project_id where p.platform_id = '${acme.id}'`)));
    const second = done(await by(acme)('GET', '/api/v1/audit-events?limit=3'));
    const third = done(await by(acme)('GET', `/api/v1/audit-events?limit=3&cursor=${encodeURIComponent(second.next)}`));
    assert.deepEqual(done(await by(acme)('GET', `/api/v1/audit-events?limit=3&cursor=${encodeURIComponent(third.previous)}`)).data, second.data);
    refused(await by(project)('GET', `/api/v1/audit-events?projectId=${acme.ownerProjectId}`), 404, 'project_not_found');
    const reader = done(await by(project)('POST', '/api/tokens', { name: 'r', scope: 'read' }), 201);
    refused(await by(reader)('GET', '/api/v1/audit-events'), 403, 'scope_too_low');
    assert.ok(!JSON.stringify(whole).includes('stoa_'), 'no token is in the trail');
    const plan = sql(`set enable_seqscan = off; explain select 1 from audit_events where platform_id = '${acme.id}' order by at desc, project_id desc, seq desc limit 51`);
    assert.match(plan, /audit_events_platform/);
    assert.ok(!/Sort/.test(plan), plan);
});

/** Runs `stoa` with a token; gives {code, out, err}. */
function stoa(token, ...args) {
    const child = spawn(server.stoaBin, args, { env: { PATH: process.env.PATH, HOME: server.home, STOA_URL: server.console, STOA_TOKEN: token } });
    const text = { out: '', err: '' };
    child.stdout.setEncoding('utf8').on('data', (part) => { text.out += part; });
    child.stderr.setEncoding('utf8').on('data', (part) => { text.err += part; });
    child.stdin.end();
    return new Promise((resolve) => child.on('close', (code, signal) => resolve({ code: code ?? signal, ...text })));
}

test('the command line: an operator\'s part and a platform\'s', async () => {
    const made = await stoa(server.token, 'platform', 'create', 'shell', '--name', 'Shell & Co');
    assert.equal(made.code, 0, made.err);
    const token = made.out.trim();
    assert.match(token, /^stoa_[A-Za-z0-9_-]{43}$/);
    assert.match(made.err, /not shown again/);
    const wrong = await stoa(server.token, 'platform', 'create', 'No Slug');
    assert.equal(wrong.code, 1);
    assert.match(wrong.err, /slug: This must have 3 to 40/);
    const again = JSON.parse((await stoa(server.token, 'platform', 'create', 'shell', '--json')).out);
    assert.equal(again.code, 'platform_slug_taken');
    const listed = await stoa(server.token, 'platform', 'list');
    assert.match(listed.out, /plt_\S+ +shell +Shell & Co +\S.* +prj_/);
    const second = (await stoa(server.token, 'platform', 'token', 'shell')).out.trim();
    const { id } = done(await by({ token })('POST', '/api/v1/projects', { displayName: 'W', externalId: 'ws\u202e1' }), 201);
    assert.match((await stoa(token, 'project', 'create', 'Made', '--external-id', 'ws-made')).out, /^stoa_/);
    assert.equal(done(await by({ token })('GET', '/api/v1/projects?externalId=ws-made')).data[0].displayName, 'Made');
    const projects = await stoa(second, 'platform', 'projects');
    assert.match(projects.out, /ws\\u\{202e\}1/, 'what a stranger wrote is escaped');
    assert.match(projects.out, /\(owner project\)/);
    const platform = JSON.parse((await stoa(server.token, 'platform', 'list', '--json')).out).data.find((p) => p.slug === 'shell');
    const mine = user(platform, 'cli-user', id, 'Viewer');
    assert.match((await stoa(token, 'platform', 'users')).out, /cli-user +Ada Lovelace +active .*Viewer in ws/);
    assert.match((await stoa(token, 'platform', 'users', '--off', mine)).out, /^Off/);
    assert.match((await stoa(token, 'platform', 'users')).out, / off /);
    assert.match((await stoa(token, 'platform', 'users', '--on', mine)).out, /^On/);
    assert.equal((await stoa(token, 'platform', 'users', '--on', mine, '--off', mine)).code, 2);
    assert.equal((await stoa(token, 'platform', 'users', '--off', 'nobody')).code, 3);
    const audit = await stoa(token, 'platform', 'audit');
    assert.match(audit.out, /user\.deactivate +\S+ +tok_\S+ +(127\.0\.0\.1|::1) +prj_/);
    assert.equal((await stoa(token, 'platform', 'audit', '--project', id, '--quiet')).out.trim().split('\n').length, 2);
    const more = await stoa(token, 'token', 'create', 'ci', '--scope', 'platform');
    assert.match(more.out, /^stoa_/);
    assert.match((await stoa(server.token, 'platform', 'users')).err, /platform's own token/);
});
