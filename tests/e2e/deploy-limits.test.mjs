// What a builder may keep on the operator's disk: deployments go by hand and by number, bytes and rows have a limit a project.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { archive, pie } from '../harness/pie.mjs';
import { request, startServer } from '../harness/server.mjs';

const MIB = 1024 * 1024;
const noise = (bytes) => crypto.randomBytes(bytes / 2).toString('hex');
const tarOf = (files) => archive(files, 'tar');
const TAR = { type: 'application/octet-stream' };

/** Deploys versions of an app: gives what each answered. */
async function deploys(server, name, pages, more) {
    const made = [];
    for (const text of pages) {
        const answer = await server.api('POST', '/api/plugins/import', pie(name, { 'index.html': text }), more);
        assert.ok(answer.status < 300, answer.text);
        made.push(answer.json);
    }
    return made;
}
const listed = async (server, name, more) => (await server.api('GET', `/api/plugins/${name}/deployments`, undefined, more)).json.data;
const refused = (answer, status, code) => assert.deepEqual([answer.status, answer.json.code], [status, code], answer.text);
const used = (server) => Number(server.database.query('select coalesce(sum(bytes), 0) from bundle_projects'));

describe('deleting a deployment', () => {
    let server;
    before(async () => { server = await startServer({ settings: { shared_origin: 'accepted' } }); });
    after(() => server.stop());

    test('takes it and its preview away, and leaves the others', async () => {
        const [one, two, three] = await deploys(server, 'tidy', ['one', 'two', 'three']);
        const preview = `${server.apps}/apps/tidy/${one.instance.slug}@${one.deployment.id}/`;
        assert.equal((await request(preview)).text, 'one');
        const bytes = used(server);
        const gone = await server.api('DELETE', `/api/plugins/tidy/deployments/${one.deployment.id}`);
        assert.equal(gone.status, 200, gone.text);
        assert.deepEqual([gone.json.id, gone.json.active, gone.json.fileCount], [one.deployment.id, false, 1]);
        assert.equal((await request(preview)).status, 404);
        assert.deepEqual((await listed(server, 'tidy')).map((d) => [d.id, d.replaces]), [[three.deployment.id, two.deployment.id], [two.deployment.id, null]]);
        refused(await server.api('GET', `/api/plugins/tidy/deployments/${one.deployment.id}`), 404, 'deployment_not_found');
        refused(await server.api('DELETE', `/api/plugins/tidy/deployments/${one.deployment.id}`), 404, 'deployment_not_found');
        refused(await server.api('POST', `/api/plugins/tidy/deployments/${one.deployment.id}/activate`), 404, 'deployment_not_found');
        assert.equal((await request(three.publicAppUrl)).text, 'three');
        assert.ok(used(server) < bytes, 'what it took is free again');
        assert.equal(server.database.query("select count(*) from bundle_files where sha256 = sha256('one')"), '0', 'its bytes can be collected');
    });

    test('what visitors see stays', async () => {
        const [one, two] = await deploys(server, 'live', ['one', 'two']);
        const answer = await server.api('DELETE', `/api/plugins/live/deployments/${two.deployment.id}`);
        refused(answer, 409, 'deployment_is_live');
        assert.match(answer.json.message, /roll back/i);
        await server.api('POST', `/api/plugins/live/deployments/${one.deployment.id}/activate`);
        refused(await server.api('DELETE', `/api/plugins/live/deployments/${one.deployment.id}`), 409, 'deployment_is_live');
        assert.equal((await server.api('DELETE', `/api/plugins/live/deployments/${two.deployment.id}`)).status, 200);
        assert.equal((await request(one.publicAppUrl)).text, 'one');
    });

    test('so does the newest of an app that has no instance: archives go on from it', async () => {
        const made = (await server.api('POST', '/api/plugins/import', pie('silent', {}, { code: '' }))).json;
        assert.equal(made.instance, null);
        refused(await server.api('DELETE', `/api/plugins/silent/deployments/${made.deployment.id}`), 409, 'deployment_is_live');
    });

    test('another\'s, and one of another plugin, is not found', async () => {
        const [one] = await deploys(server, 'whose', ['one', 'two']);
        await deploys(server, 'another', ['one', 'two']);
        const project = (await server.api('POST', '/api/projects', { displayName: 'Other' })).json;
        const token = project.token.token ?? project.token;
        refused(await server.api('DELETE', `/api/plugins/whose/deployments/${one.deployment.id}`, undefined, { token }), 404, 'plugin_not_found');
        refused(await server.api('DELETE', `/api/plugins/another/deployments/${one.deployment.id}`), 404, 'deployment_not_found');
        assert.equal((await listed(server, 'whose')).length, 2);
    });

    test('an activation and a deletion that meet end with one of them done', async () => {
        for (let i = 0; i < 8; ++i) {
            const [one] = await deploys(server, 'meeting', [`a${i}`, `b${i}`]);
            const at = `/api/plugins/meeting/deployments/${one.deployment.id}`;
            const [activated, deleted] = await Promise.all([server.api('POST', `${at}/activate`), server.api('DELETE', at)]);
            assert.deepEqual([activated.status, deleted.status], activated.status === 200 ? [200, 409] : [404, 200], `${activated.text} ${deleted.text}`);
        }
    });

    test('a deploy says what it replaces', async () => {
        const [one, two] = await deploys(server, 'replacing', ['one', 'two']);
        assert.deepEqual([one.deployment.replaces, two.deployment.replaces], [null, one.deployment.id]);
        const dry = await server.api('POST', '/api/plugins/import?dryRun=true', pie('replacing', { 'index.html': 'three' }));
        assert.equal(dry.json.deployment.replaces, two.deployment.id);
        const [again] = await deploys(server, 'replacing', ['two']);
        assert.deepEqual([again.deployment.unchanged, again.deployment.replaces], [true, one.deployment.id]);
    });
});

describe('keep_deployments', () => {
    let server;
    before(async () => { server = await startServer({ settings: { keep_deployments: 3 } }); });
    after(() => server.stop());

    test('the oldest go when a new one comes', async () => {
        const made = await deploys(server, 'many', ['1', '2', '3', '4', '5']);
        assert.deepEqual((await listed(server, 'many')).map((d) => d.id), made.slice(2).reverse().map((m) => m.deployment.id));
        const preview = (m) => request(`${server.apps}/apps/many/${m.instance.slug}@${m.deployment.id}/`);
        assert.deepEqual(await Promise.all(made.map(async (m) => (await preview(m)).status)), [404, 404, 200, 200, 200]);
        assert.equal((await request(made[0].publicAppUrl)).text, '5');
    });

    test('never what is live, nor what it replaced', async () => {
        const [a, b, c] = await deploys(server, 'held', ['a', 'b', 'c']);
        await server.api('POST', `/api/plugins/held/deployments/${a.deployment.id}/activate`);
        const [d] = await deploys(server, 'held', ['d']);
        assert.deepEqual((await listed(server, 'held')).map((x) => x.id), [d, c, a].map((m) => m.deployment.id));
        assert.equal(d.deployment.replaces, a.deployment.id);
        assert.ok(b.deployment.id);
    });

    test('a dry run, and a deploy that is refused or changes nothing, take none away', async () => {
        const made = await deploys(server, 'same', ['1', '2', '3']);
        assert.equal((await server.api('POST', '/api/plugins/import?dryRun=true', pie('same', { 'index.html': '4' }))).status, 200);
        await deploys(server, 'same', ['3']);
        assert.equal((await server.api('POST', '/api/plugins/import', 'noise')).status, 422);
        assert.deepEqual((await listed(server, 'same')).map((x) => x.id), made.reverse().map((m) => m.deployment.id));
    });
});

describe('deploy_quota_bytes', () => {
    let server;
    before(async () => { server = await startServer({ settings: { deploy_quota_bytes: '2MiB', shared_origin: 'accepted' } }); });
    after(() => server.stop());

    test('a deploy that would go over it is refused and changes nothing, a dry run says the same', async () => {
        const first = (await server.api('POST', '/api/plugins/import', pie('full', { 'index.html': 'x' }))).json;
        const send = (files, query = '') => server.api('POST', `/api/plugins/full/deployments${query}`, tarOf(files), TAR);
        const big = noise(MIB), other = noise(MIB);
        const kept = await send({ 'index.html': 'one', 'big.txt': big });
        assert.equal(kept.status, 200, kept.text);
        const before = used(server);
        assert.ok(before > MIB && before < 1.1 * MIB, before);
        for (const query of ['?dryRun=true', '']) {
            const over = await send({ 'index.html': 'two', 'other.txt': other }, query);
            refused(over, 507, 'quota_exceeded');
            assert.match(over.json.message, /1\.0 of 2\.0 MiB.* 1\.0 MiB more.*stoa deployments APP --rm ID/);
        }
        assert.equal(used(server), before);
        assert.equal((await listed(server, 'full')).length, 2);
        assert.equal((await request(first.publicAppUrl)).text, 'one');
        // the same bytes once more are there already
        assert.equal((await send({ 'index.html': 'three', 'big.txt': big })).status, 200);
        // another app of the project has the same limit, another project its own
        refused(await server.api('POST', '/api/plugins/import', pie('beside', Object.fromEntries(['index.html', 'a.txt', 'b.txt'].map((name) => [name, noise(400 * 1024)])))), 507, 'quota_exceeded');
        assert.equal((await server.api('GET', '/api/plugins/beside')).status, 404);
        const project = (await server.api('POST', '/api/projects', { displayName: 'Other' })).json;
        const token = project.token.token ?? project.token;
        assert.equal((await server.api('POST', '/api/plugins/import', pie('theirs', { 'index.html': 'x' }), { token })).status, 201);
        assert.equal((await server.api('POST', '/api/plugins/theirs/deployments', tarOf({ 'index.html': 'x', 'other.txt': other }), { ...TAR, token })).status, 200);
        // until old ones are removed
        await send({ 'index.html': 'four' });
        for (const d of (await listed(server, 'full')).filter((x) => !x.active)) assert.equal((await server.api('DELETE', `/api/plugins/full/deployments/${d.id}`)).status, 200);
        assert.equal((await send({ 'index.html': 'five', 'other.txt': other })).status, 200);
    });

    test('what is refused is not written to the disk first', async () => {
        const blobs = path.join(server.dataDir, 'blobs');
        const written = () => fs.readdirSync(blobs).reduce((n, at) => n + fs.readdirSync(path.join(blobs, at)).length, 0);
        const before = written();
        refused(await server.api('POST', '/api/plugins/full/deployments', tarOf({ 'index.html': 'x', 'a.txt': noise(3 * MIB) }), TAR), 507, 'quota_exceeded');
        assert.equal(written(), before);
    });

    test('of two at once that fit alone, one is refused', async () => {
        const project = (await server.api('POST', '/api/projects', { displayName: 'Hasty' })).json;
        const token = project.token.token ?? project.token;
        for (const name of ['left', 'right']) await deploys(server, name, ['x'], { token });
        const answers = await Promise.all(['left', 'right'].map((name) => server.api('POST', `/api/plugins/${name}/deployments`,
            tarOf({ 'index.html': name, 'big.txt': noise(1.2 * MIB) }), { ...TAR, token })));
        assert.deepEqual(answers.map((a) => a.status).sort(), [200, 507]);
    });

    test('what is deleted at once was written all the same: so much an hour', async () => {
        const project = (await server.api('POST', '/api/projects', { displayName: 'Busy' })).json;
        const token = project.token.token ?? project.token;
        await deploys(server, 'churn', ['x'], { token });
        const send = (query = '') => server.api('POST', `/api/plugins/churn/deployments${query}`, tarOf({ 'index.html': noise(16), 'big.txt': noise(1.2 * MIB) }), { ...TAR, token });
        let answer;
        for (let i = 0; i < 4; ++i) {
            answer = await send();
            if (answer.status !== 200) break;
            await deploys(server, 'churn', [`small ${i}`], { token });
            for (const d of (await listed(server, 'churn', { token })).filter((x) => !x.active)) await server.api('DELETE', `/api/plugins/churn/deployments/${d.id}`, undefined, { token });
        }
        refused(answer, 429, 'rate_limited');
        assert.ok(Number(answer.headers['retry-after']) > 60, answer.headers['retry-after']);
        assert.match(answer.json.message, /hour/);
        assert.equal((await listed(server, 'churn', { token })).length, 1);
        await deploys(server, 'churn', ['small'], { token }); // what takes little goes on
        assert.equal((await send('?dryRun=true')).status, 200, 'a dry run writes nothing');
    });

    test('many small files and listed rows count as what they take', async () => {
        const project = (await server.api('POST', '/api/projects', { displayName: 'Dusty' })).json;
        const token = project.token.token ?? project.token;
        await deploys(server, 'dust', ['x'], { token });
        const dust = (n, text) => Object.fromEntries([['index.html', 'x'], ...Array.from({ length: n }, (_, i) => [`${i}.txt`, text(i)])]);
        refused(await server.api('POST', '/api/plugins/dust/deployments', tarOf(dust(500, (i) => `${i}`)), { ...TAR, token }), 507, 'quota_exceeded');
        refused(await server.api('POST', '/api/plugins/dust/deployments', tarOf(dust(2100, () => 'same')), { ...TAR, token }), 507, 'quota_exceeded');
        assert.equal((await server.api('POST', '/api/plugins/dust/deployments', tarOf(dust(300, (i) => `${i}`)), { ...TAR, token })).status, 200);
    });

    test('a plugin that goes gives its bytes back', async () => {
        const project = (await server.api('POST', '/api/projects', { displayName: 'Gone' })).json;
        const token = project.token.token ?? project.token;
        await deploys(server, 'going', ['1', '2', '3'], { token });
        await deploys(server, 'staying', ['1'], { token });
        const of = () => JSON.parse(server.database.query(`select json_build_array((select bytes from bundle_projects where project_id = '${project.project?.id ?? project.id}'),
            (select count(*) from bundle_blobs where project_id = '${project.project?.id ?? project.id}'))`));
        assert.equal((await server.api('DELETE', '/api/plugins/going', undefined, { token })).status, 200);
        const [bytes, blobs] = of();
        assert.ok(bytes > 0 && blobs === 3, `${bytes} ${blobs}`); // its page, its code, its source
        assert.equal((await server.api('DELETE', '/api/plugins/staying', undefined, { token })).status, 200);
        assert.deepEqual(of(), [0, 0]);
    });
});

describe('with keep_deployments and a quota together', () => {
    let server;
    before(async () => { server = await startServer({ settings: { deploy_quota_bytes: '3MiB', keep_deployments: 2 } }); });
    after(() => server.stop());

    test('what goes to make room counts no more', async () => {
        await deploys(server, 'rolling', ['x']);
        for (let i = 0; i < 4; ++i) {
            const dry = await server.api('POST', '/api/plugins/rolling/deployments?dryRun=true', tarOf({ 'index.html': `${i}`, 'big.txt': noise(1.2 * MIB) }), TAR);
            assert.equal(dry.status, 200, dry.text);
            const answer = await server.api('POST', '/api/plugins/rolling/deployments', tarOf({ 'index.html': `${i}`, 'big.txt': noise(1.2 * MIB) }), TAR);
            assert.equal(answer.status, 200, answer.text);
            assert.equal((await listed(server, 'rolling')).length, 2);
        }
    });
});

test('two processes on one database keep to one quota', async () => {
    const settings = { deploy_quota_bytes: '2MiB', plugins_per_project: 8, shared_origin: 'accepted' };
    const one = await startServer({ settings });
    let two;
    try {
        const token = one.token;
        two = await startServer({ settings: { ...settings, master_key_file: path.join(one.dataDir, 'keys/master.key') }, database: one.databaseUrl });
        const names = Array.from({ length: 6 }, (_, i) => `at-once-${i}`);
        for (const name of names) await deploys(one, name, ['x']);
        // between a deploy's judgement and its count, so that the two processes meet there
        one.database.query('alter table bundle_files add constraint dawdle check (pg_sleep(0.2)::text is not null) not valid');
        const answers = await Promise.all(names.map((name, i) => [one, two][i % 2].api('POST', `/api/plugins/${name}/deployments`,
            tarOf({ 'index.html': name, 'big.txt': noise(0.5 * MIB) }), { ...TAR, token })));
        assert.deepEqual(answers.map((a) => a.status).sort(), [200, 200, 200, 507, 507, 507]);
        assert.ok(used(one) <= 2 * MIB);
        const made = await Promise.all(Array.from({ length: 4 }, (_, i) => [one, two][i % 2].api('POST', '/api/plugins/import', pie(`row-${i}`, { 'index.html': 'x' }), { token })));
        assert.deepEqual(made.map((a) => a.status).sort(), [201, 201, 507, 507]);
    } finally {
        await two?.stop();
        await one.stop();
    }
});

describe('rows', () => {
    let server;
    before(async () => { server = await startServer({ settings: { plugins_per_project: 3, instances_per_plugin: 5, shared_origin: 'accepted' } }); });
    after(() => server.stop());

    test('plugins_per_project', async () => {
        for (const name of ['p1', 'p2', 'p3']) await deploys(server, name, ['x']);
        for (const query of ['?dryRun=true', '']) {
            const answer = await server.api('POST', `/api/plugins/import${query}`, pie('p4', { 'index.html': 'x' }));
            refused(answer, 507, 'quota_exceeded');
            assert.match(answer.json.message, /3 plugins/);
        }
        assert.equal((await server.api('GET', '/api/plugins')).json.data.length, 3);
        await deploys(server, 'p1', ['y']);
        await server.api('DELETE', '/api/plugins/p2');
        await deploys(server, 'p4', ['x']);
        const project = (await server.api('POST', '/api/projects', { displayName: 'Other' })).json;
        const token = project.token.token ?? project.token;
        await deploys(server, 'p1', ['x'], { token });
        const answers = await Promise.all([2, 3, 4, 5].map((i) => server.api('POST', '/api/plugins/import', pie(`p${i}`, { 'index.html': 'x' }), { token })));
        assert.deepEqual(answers.map((a) => a.status).sort(), [201, 201, 507, 507]);
    });

    test('instances_per_plugin, and their list has pages', async () => {
        const [made] = await deploys(server, 'p1', ['many']);
        const ids = [made.instance.id];
        for (let i = 0; i < 4; ++i) ids.push((await server.api('POST', '/api/plugins/p1/instances')).json.id);
        const over = await server.api('POST', '/api/plugins/p1/instances');
        refused(over, 507, 'quota_exceeded');
        assert.match(over.json.message, /5 instances/);
        const seen = [], pages = [];
        let query = '?limit=2', previous;
        do {
            const page = (await server.api('GET', `/api/plugins/p1/instances${query}`)).json;
            assert.ok(page.data.length <= 2);
            pages.push(page.data.map((i) => i.id));
            seen.push(...pages.at(-1));
            previous = page.previous;
            query = page.next === null ? null : `?limit=2&cursor=${page.next}`;
        } while (query);
        assert.deepEqual(seen, ids, 'oldest first, each once');
        const back = (await server.api('GET', `/api/plugins/p1/instances?limit=2&cursor=${previous}`)).json;
        assert.deepEqual(back.data.map((i) => i.id), pages.at(-2));
        refused(await server.api('GET', '/api/plugins/p1/instances?cursor=x'), 422, 'invalid_cursor');
        assert.equal((await server.api('GET', '/api/plugins/p1/instances?limit=101')).status, 422);
        server.database.query(`insert into instances (id, plugin_id, project_id, slug) select 'ins_' || n, plugin_id, project_id, slug || n
            from instances, generate_series(1, 200) n where id = '${ids[0]}'`); // more than the largest page
        const { stdout } = await promisify(execFile)(server.stoaBin, ['instances', 'p1', '-q'], { env: { STOA_URL: server.console, STOA_TOKEN: server.token } });
        assert.equal(new Set(stdout.trim().split('\n')).size, 205);
        server.database.query("delete from instances where id ~ '^ins_[0-9]{1,3}$'");
        await server.api('DELETE', `/api/plugins/p1/instances/${ids[4]}`);
        assert.equal((await server.api('POST', '/api/plugins/p1/instances')).status, 201);
    });
});
