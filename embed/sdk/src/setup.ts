// What one configure() made: the builder's frame, dialogs, the host's session; and the end of it all.
import type { ConfigureOptions, ConnectOptions, EmbedEvents } from '../stoa-embed';
import { Api } from './api';
import { asError, StoaEmbedError } from './errors';
import { CONNECT_NAME, CONNECT_PIECE, CONNECT_ROUTE, FromClient, VendorInit } from './messages';
import { cleanPrefix, withSlash } from './routes';
import { Talk } from './talk';
import { Tokens } from './tokens';
import { deferred } from './waiting';

const FRAME_STYLE = 'border:0;width:100%;height:100%;display:block';
const DIALOG_STYLE = 'border:0;position:fixed;inset:0;width:100%;height:100%;z-index:2147483647;color-scheme:light;display:none';
const RETRY_MS = 15000;
const POPUP_LOOK_MS = 300;

export type Emit = <E extends keyof EmbedEvents>(event: E, data: EmbedEvents[E]) => void;
type Connected = FromClient['CLIENT_NEW_CONNECTION_DIALOG_CLOSED'];

interface Dialog {
    talk: Talk;
    close: () => void;
}

export class Setup {
    readonly prefix: string;
    private readonly url: string;
    private readonly tokens: Tokens;
    private readonly api: Api;
    private readonly timeout: number;
    private readonly dialogs = new Set<Dialog>();
    private frame?: HTMLIFrameElement;
    private board?: Talk;
    private route: string;
    private wanted?: string;
    private wantsToken = false;
    private renewing?: Promise<void>;
    private retry?: number;
    private isOver = false;

    constructor(private readonly options: ConfigureOptions, private readonly version: string, private readonly emit: Emit) {
        this.url = instanceUrlOf(options?.instanceUrl);
        if (!options.jwtToken && !options.getToken) throw new StoaEmbedError('invalid_options', 'configure() needs a jwtToken or getToken.');
        this.prefix = cleanPrefix(options.prefix);
        this.tokens = new Tokens(options.jwtToken, options.getToken);
        this.api = new Api(this.url, this.tokens);
        this.timeout = options.timeout ?? 30000;
        this.route = withSlash(options.embedding?.initialRoute ?? '/');
        document.addEventListener('visibilitychange', this.wake);
        addEventListener('online', this.wake);
    }

    /** Resolves when the builder is signed in; at once without a container. */
    async start(): Promise<void> {
        const id = this.options.embedding?.containerId;
        if (id === undefined) return;
        const container = await findContainer(id);
        if (this.isOver) throw destroyed();
        if (!container) throw new StoaEmbedError('container_not_found', `There is no element with the id ${id}.`);
        const frame = (this.frame = this.makeFrame(this.options.embedding?.title ?? 'App builder', FRAME_STYLE));
        const talk = (this.board = this.talkTo(() => frame.contentWindow, () => this.hello(this.route), this.onBoard));
        frame.onload = () => talk.loaded();
        container.appendChild(frame);
        try {
            await talk.ready.promise;
        } catch (error) {
            if ((error as StoaEmbedError).code !== 'INVALID_BEARER_TOKEN') frame.remove(); // that one is explained in it
            throw error;
        }
        this.emit('ready', {});
    }

    navigate(route: string): void {
        if (!this.board?.isReady) this.wanted = route;
        else this.board.say('VENDOR_ROUTE_CHANGED', { vendorRoute: (this.route = withSlash(route)) });
    }

    connect({ pieceName, connectionName, newWindow }: ConnectOptions): Promise<Connected> {
        if (!pieceName) return Promise.reject(new StoaEmbedError('invalid_options', 'connect() needs a pieceName.'));
        const query = new URLSearchParams({ [CONNECT_PIECE]: pieceName });
        if (connectionName) query.set(CONNECT_NAME, connectionName);
        return newWindow ? this.connectInWindow(query, newWindow) : this.connectInFrame(query);
    }

    request(options: Parameters<Api['request']>[0]): Promise<any> {
        return this.api.request(options);
    }

    /** A fresh token to every page of ours; one renewal at a time. */
    updateToken(token?: string): Promise<void> {
        if (token) this.tokens.set(token);
        return (this.renewing ??= this.renew(token).finally(() => (this.renewing = undefined)));
    }

    end(): void {
        this.isOver = true;
        document.removeEventListener('visibilitychange', this.wake);
        removeEventListener('online', this.wake);
        clearTimeout(this.retry);
        this.api.end();
        this.board?.end(destroyed());
        this.frame?.remove();
        this.dialogs.forEach((dialog) => dialog.close());
    }

    // --- the builder ---

    private readonly onBoard: Talk['options']['on'] = (type, data: any) => {
        const { builder, navigation } = this.options.embedding ?? {};
        if (type === 'CLIENT_CONFIGURATION_FINISHED' && this.wanted !== undefined) {
            this.navigate(this.wanted);
            this.wanted = undefined;
        } else if (type === 'CLIENT_ROUTE_CHANGED') {
            this.route = withSlash(data.route);
            const event = { route: this.prefix + this.route, ...(data.replace && { replace: true }) };
            navigation?.handler?.(event);
            this.emit('route', event);
        } else if (type === 'CLIENT_BUILDER_HOME_BUTTON_CLICKED') {
            builder?.homeButtonClickedHandler?.({ route: this.prefix + withSlash(data.route) });
        }
    };

    private async hello(initialRoute: string): Promise<VendorInit> {
        const { builder = {}, dashboard = {}, styling = {}, hideFolders, locale } = this.options.embedding ?? {};
        return {
            jwtToken: await this.tokens.take(),
            initialRoute,
            sdkVersion: this.version,
            prefix: this.prefix || '/',
            locale,
            mode: styling.mode,
            fontUrl: styling.fontUrl,
            fontFamily: styling.fontFamily,
            hideSidebar: !!dashboard.hideSidebar,
            hideFolders: !!hideFolders,
            hideLogoInBuilder: !!builder.hideLogo,
            hideFlowNameInBuilder: !!builder.hideFlowName,
            disableNavigationInBuilder: builder.disableNavigation ?? false,
            emitHomeButtonClickedEvent: !!builder.homeButtonClickedHandler,
            homeButtonIcon: builder.homeButtonIcon,
        };
    }

    private makeFrame(title: string, style: string): HTMLIFrameElement {
        const frame = document.createElement('iframe');
        frame.title = title;
        frame.allow = 'clipboard-write';
        frame.referrerPolicy = 'strict-origin'; // whatever the host's own: it tells who frames
        frame.style.cssText = style;
        frame.src = `${this.url}/embed?currentDate=${Date.now()}`;
        return frame;
    }

    private talkTo(peer: () => Window | null, hello: () => Promise<VendorInit>, on: Talk['options']['on'], isWindow = false): Talk {
        return new Talk({
            instanceUrl: this.url, timeout: this.timeout, isWindow, peer, hello,
            on: (type, data: any) => {
                if (type === 'CLIENT_SESSION_EXPIRING' || type === 'CLIENT_SESSION_EXPIRED') this.onExpiry(type, data);
                on(type, data);
            },
        });
    }

    // --- dialogs ---

    private connectInFrame(query: URLSearchParams): Promise<Connected> {
        const before = document.activeElement as HTMLElement | null;
        const frame = this.makeFrame('Connect', DIALOG_STYLE);
        const done = this.dialog(query, () => frame.contentWindow, () => {
            frame.remove();
            before?.focus?.();
        }, () => {
            frame.style.display = 'block';
            frame.focus();
        });
        frame.onload = () => done.talk.loaded();
        document.body.appendChild(frame);
        return done.promise;
    }

    private connectInWindow(query: URLSearchParams, at: NonNullable<ConnectOptions['newWindow']>): Promise<Connected> {
        const features = Object.entries({ width: 480, height: 720, ...at }).map(([name, value]) => `${name}=${Number(value)}`).join(',');
        const popup = window.open(`${this.url}/embed?currentDate=${Date.now()}`, '_blank', features);
        if (!popup) return Promise.reject(new StoaEmbedError('popup_blocked', 'The browser did not open the window: call connect() from a click.'));
        const done = this.dialog(query, () => popup, () => {
            clearInterval(look);
            popup.close();
        });
        const look = setInterval(() => popup.closed && done.leave(), POPUP_LOOK_MS);
        return done.promise;
    }

    // Shown, it ends with the person's choice; before that, with a reason.
    private dialog(query: URLSearchParams, peer: () => Window | null, takeAway: () => void, show?: () => void) {
        const result = deferred<Connected>();
        const close = (): void => {
            this.dialogs.delete(dialog);
            talk.end(destroyed());
            result.reject(destroyed());
            takeAway();
        };
        const talk = this.talkTo(peer, () => this.hello(`${CONNECT_ROUTE}?${query}`), (type, data: any) => {
            if (type === 'CLIENT_SHOW_CONNECTION_IFRAME') show?.();
            if (type === 'CLIENT_CONNECTION_PIECE_NOT_FOUND') result.reject(notFound(data.error));
            if (type === 'CLIENT_NEW_CONNECTION_DIALOG_CLOSED') {
                const { id, name } = data.connection ?? {};
                result.resolve(id ? { connection: { id, name } } : {});
                close();
            }
        }, !show);
        const dialog: Dialog = { talk, close };
        this.dialogs.add(dialog);
        talk.ready.promise.catch((error) => {
            result.reject(error);
            close();
        });
        const leave = (): void => {
            if (talk.isReady) result.resolve({});
            else result.reject(new StoaEmbedError('closed', 'The window was closed before it was ready.'));
            close();
        };
        return { talk, promise: result.promise, leave };
    }

    // --- renewal ---

    private onExpiry(type: 'CLIENT_SESSION_EXPIRING' | 'CLIENT_SESSION_EXPIRED', data: { expiresAt: string }): void {
        this.emit(type === 'CLIENT_SESSION_EXPIRING' ? 'sessionExpiring' : 'sessionExpired', data);
        this.wantsToken = true;
        this.wake();
    }

    // Also when the tab wakes: its timers slept, and what failed then may work now.
    private readonly wake = (): void => {
        if (!this.wantsToken || !this.tokens.canRenew || document.visibilityState === 'hidden') return;
        clearTimeout(this.retry);
        this.updateToken().catch((error) => {
            this.emit('error', asError(error, 'token_unavailable'));
            if (!this.isOver) this.retry = setTimeout(this.wake, RETRY_MS) as unknown as number;
        });
    };

    private async renew(given?: string): Promise<void> {
        if (!given && !this.tokens.canRenew) throw new StoaEmbedError('token_unavailable', 'Give updateToken() a token, or configure() a getToken.');
        const talks = [this.board, ...[...this.dialogs].map((dialog) => dialog.talk)].filter(Boolean);
        this.api.forget();
        await Promise.all(talks.map((talk, n) => talk!.renew(async () => (given && n ? given : this.tokens.take()))));
        if (this.isOver) throw destroyed();
        this.wantsToken = false;
        this.emit('tokenRenewed', {});
    }
}

const destroyed = () => new StoaEmbedError('destroyed', 'The builder was taken away meanwhile.');

function notFound(text: string): StoaEmbedError {
    let said: any;
    try {
        said = JSON.parse(text);
    } catch { /* an odd server: its own words are not needed */ }
    return new StoaEmbedError('piece_not_found', said?.error ?? 'There is no such plugin in this project.', 404);
}

function instanceUrlOf(given: string): string {
    let url: URL;
    try {
        url = new URL(given);
    } catch {
        throw new StoaEmbedError('invalid_options', 'instanceUrl must be an absolute URL.');
    }
    if (!/^https?:$/.test(url.protocol)) throw new StoaEmbedError('invalid_options', 'instanceUrl must begin with https://.');
    return url.origin + url.pathname.replace(/\/+$/, '');
}

// In a page that is still being read the container may be further down.
async function findContainer(id: string): Promise<HTMLElement | null> {
    const found = document.getElementById(id);
    if (found || document.readyState !== 'loading') return found;
    await new Promise((done) => document.addEventListener('DOMContentLoaded', done, { once: true }));
    return document.getElementById(id);
}
