// All that embedding takes, for tests in a browser: the server, a product's backend with its key, its page on another origin, and pages of
// it opened with an ear on every message they get.
import assert from 'node:assert/strict';
import { openBrowser } from './browser.mjs';
import { startHostPage } from './host-page.mjs';
import { pie } from './pie.mjs';
import { startServer, until } from './server.mjs';
import { makePlatform } from './tokens.mjs';

export const MAILER = pie('mailer', { 'index.html': '<h1>mail</h1>' }, {
    front: `description: Sends what your visitors sign up for.
manifest:
  pieceNames: ["@activepieces/piece-mail"]
  userSecrets:
    SMTP_PASSWORD: { description: "The password of the mail account", required: true }
  userFields:
    sender: { type: text, label: Sender address, required: true }
    perDay: { type: number, label: Letters a day, min: 1, max: 5, default: 2 }
    digest: { type: boolean, label: Send a digest, default: true }
    frequency: { type: select, label: Frequency, options: [{value: daily, label: Daily}, {value: weekly, label: Weekly}], default: weekly }
    topics: { type: tags, label: Topics }
`,
});

/** Heard by window.heard: [{type, data, origin}] of every message the page gets. */
const EAR = () => {
    window.heard = [];
    addEventListener('message', ({ data, origin }) => window.heard.push({ type: data?.type, data: data?.data, origin }));
};

export async function startEmbedding({ settings = {}, host: hostOptions, ...options } = {}) {
    const server = await startServer({ ...options, settings: { shared_origin: 'accepted', ...settings } });
    const host = await startHostPage(server, hostOptions);
    const acme = await makePlatform(server, 'acme');
    const key = await acme.makeKey({ allowedOrigins: [host.origin] });
    const browser = await openBrowser();
    const catalogue = async (...texts) => {
        for (const text of texts) {
            const made = await acme.api('POST', '/api/plugins/import', text);
            assert.equal(made.status, 201, made.text);
            assert.equal((await acme.api('PATCH', '/api/v1/pieces', { ids: [made.json.plugin.slug], offered: true })).status, 200);
        }
    };
    let people = 0;
    return {
        server, host, acme, key, browser, catalogue,
        stop: async () => {
            await browser.close();
            await host.close();
            await server.stop();
        },
        /** A person's token in a workspace of their own, or in the one that is named. */
        token: (claims = {}) => key.sign({ externalUserId: `user-${++people}`, externalProjectId: `workspace-${people}`, role: 'Admin', ...claims }),
        /** The session of a host page, for what a test has to prepare. */
        session: async (jwtToken, origin = host.origin) => {
            const made = await acme.exchange(jwtToken, { origin });
            assert.equal(made.status, 200, made.text);
            return (method, where, body) => server.api(method, `/api/v1${where}`, body, { token: made.json.token });
        },
        /** The host's page. `errors` leaves out requests that the page itself gave up. */
        async open(more = {}, where = host) {
            const opened = await browser.open('about:blank', more);
            await opened.page.addInitScript(EAR);
            await opened.page.goto(`${where.origin}${more.path ?? '/'}`);
            return { ...opened, errors: () => opened.errors.filter((e) => !/ERR_ABORTED/.test(e)) };
        },
        /** stoa.configure() in the page: 'ok', or what it was rejected with. */
        configure: (page, options) => page.evaluate(async (given) => {
            try {
                await window.stoa.configure(given);
                return 'ok';
            } catch (e) {
                return { name: e.name, code: e.code, status: e.status, message: e.message };
            }
        }, { instanceUrl: server.console, ...options }),
        /** The builder's frame within. */
        frame: (page) => until(() => page.frames().find((f) => f !== page.mainFrame() && f.url().includes('/embed')), 'the frame'),
    };
}

/** What a promise of the page's came to: {value} or {code, status}. */
export const settled = (page, source, argument) => page.evaluate(async ([text, given]) => {
    try {
        return { value: await new Function('given', `return (${text})`)(given) };
    } catch (e) {
        return { name: e.name, code: e.code, status: e.status, message: e.message };
    }
}, [source, argument]);
