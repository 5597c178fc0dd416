// The embed page, from the host's first word to the views. To put another console in its place, give
// the router other views: host, session and options stay.
import type { VendorInit } from '../sdk/src/messages';
import { CONNECT_ROUTE } from '../sdk/src/messages';
import { Api, ApiError } from './api';
import { Context, roleMay } from './context';
import { Host } from './host';
import { applyTheme, Options, readOptions } from './options';
import { Place, Router, Routes, View } from './router';
import { Identity, Session } from './session';
import { curtain, makeShell, notice, Shell } from './shell';
import { appView } from './views/app';
import { appsView } from './views/apps';
import { connectView } from './views/connect';
import { connectionsView } from './views/connections';
import { domainsView } from './views/domains';
import { filesView } from './views/files';
import { runsView, runView } from './views/runs';
import { settingsView } from './views/settings';
import { wordsFor } from './words';

const routes: Routes<Context> = [
    [/^\/apps$/, appsView],
    [/^\/apps\/([^/]+)$/, appView],
    [/^\/runs$/, runsView],
    [/^\/runs\/([^/]+)$/, runView],
    [/^\/files$/, filesView],
    [/^\/domains$/, domainsView],
    [/^\/connections$/, connectionsView],
    [/^\/settings$/, settingsView],
];

let words = wordsFor(navigator.language);
let init: VendorInit | undefined; // not looked into before the exchange has succeeded
let router: Router<Context> | undefined;
let shown: Identity | undefined; // whose views these are
let raise: (() => void) | undefined;
let leaving = new AbortController(); // of the view that is shown

const session = new Session({
    expiring: (expiresAt) => host.say('CLIENT_SESSION_EXPIRING', { expiresAt }),
    expired(expiresAt) {
        host.say('CLIENT_SESSION_EXPIRED', { expiresAt });
        raise ??= curtain(words.expiredTitle, words.expiredText);
    },
    back() {
        raise?.();
        raise = undefined;
    },
});

const host = new Host({
    VENDOR_INIT(data, origin) {
        init = data;
        void signIn(data?.jwtToken, origin);
    },
    VENDOR_TOKEN_UPDATED: (data, origin) => void signIn(data?.jwtToken, origin),
    VENDOR_ROUTE_CHANGED: (data) => typeof data.vendorRoute === 'string' && router?.go(data.vendorRoute),
});
if (!host.isThere) notice(words.aloneTitle, words.aloneText);

async function signIn(jwtToken: unknown, origin: string): Promise<void> {
    try {
        if (typeof jwtToken !== 'string') throw new ApiError('INVALID_BEARER_TOKEN', 'VENDOR_INIT brought no jwtToken.', 401);
        await session.open(jwtToken, origin);
    } catch (error) {
        refuse(error);
        return;
    }
    host.say('CLIENT_AUTHENTICATION_SUCCESS', {});
    const before = shown;
    const { projectId, userId } = (shown = session.identity);
    if (before && before.projectId === projectId && before.userId === userId) return;
    const options = readOptions(init!);
    if (before) options.initialRoute = '/'; // somebody else now: what was shown is not theirs
    else applyTheme(options);
    start(options);
}

function refuse(error: unknown): void {
    const { code, message, status } = error instanceof ApiError ? error : new ApiError('failed', String(error), 0);
    host.say('CLIENT_AUTHENTICATION_FAILED', { code, message, status });
    if (!router) notice(words.refusedTitle, words.refusedText, message);
}

function start(options: Options): void {
    words = wordsFor(options.locale);
    leaving.abort();
    const api = new Api(session.call);
    const isDialog = options.initialRoute.split('?')[0] === CONNECT_ROUTE;
    const shell = isDialog ? bareShell() : makeShell({ host, options, words, session, go: (route) => router!.go(route) });
    let isFirst = true;

    // A view's heading, for readers; never out of the host's own page.
    const takeFocus = (): void => {
        if (document.hasFocus() && !shell.main.contains(document.activeElement)) shell.main.querySelector<HTMLElement>('h1')?.focus({ preventScroll: true });
    };
    const show = (view: View<Context>, place: Place): void => {
        leaving.abort();
        leaving = new AbortController();
        const quiet = isFirst;
        shell.main.replaceChildren();
        shell.mark(place.path);
        view({
            main: shell.main, signal: leaving.signal, api, session, host, options, words, tell: shell.tell,
            title: (text) => {
                document.title = text;
                if (!quiet) setTimeout(takeFocus);
            },
            go: (route) => router!.go(route),
            may: (power) => roleMay(session.identity.role, power),
        }, place);
        isFirst = false;
        scrollTo(0, 0);
    };
    router = new Router(isDialog ? [[new RegExp(`^${CONNECT_ROUTE}$`), connectView], ...routes] : routes, show, (route, replace) =>
        host.say('CLIENT_ROUTE_CHANGED', replace ? { route, replace } : { route }));
    host.say('CLIENT_CONFIGURATION_FINISHED', {});
    router.go(options.initialRoute, { silent: true });
}

function bareShell(): Shell {
    document.body.replaceChildren();
    const main = document.createElement('main');
    document.body.append(main);
    return { main, mark: () => undefined, tell: () => undefined };
}
