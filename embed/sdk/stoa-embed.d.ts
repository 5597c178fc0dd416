// What a host page may ask of Stoa: the manual of stoa-embed.js, and of the npm package. The sources
// in src/ are checked against it.

/** Why a promise of this SDK was rejected. */
export class StoaEmbedError extends Error {
    /**
     * - `invalid_options`, `container_not_found`, `not_configured`: the call cannot work as it was made
     * - `origin_not_allowed`: no active signing key names this page's origin in `allowedOrigins`
     * - `unreachable`: the server, or the way to it, is down
     * - `token_unavailable`: `getToken` failed or gave nothing
     * - `INVALID_BEARER_TOKEN`, or another code of the server's with its `status`: it refused
     * - `popup_blocked`, `closed`: the dialog's window could not be opened, or was closed too early
     * - `piece_not_found`: there is no such plugin in this project's catalogue
     * - `timed_out`, `destroyed`, `bad_answer`
     */
    readonly code: string;
    /** The HTTP status behind it, 0 when there is none. */
    readonly status: number;
    constructor(code: string, message: string, status?: number);
}

export interface NavigationEvent {
    /** Path and query, behind the `prefix` that was given. */
    route: string;
    /** The route took the place of one that does not exist: replace, do not push. */
    replace?: boolean;
}

export interface EmbeddingOptions {
    /** The id of the element that is to hold the builder. Without one, `connect` and `request` work alone. */
    containerId?: string;
    /** Where to begin; `/apps` unless told. */
    initialRoute?: string;
    /** The frame's name to screen readers. */
    title?: string;
    /** A language tag: `en`, `de`, `fr-CA`. */
    locale?: string;
    builder?: {
        /** No way out of an app but the host's own; `keep_home_button_only` keeps the home button. */
        disableNavigation?: boolean | 'keep_home_button_only';
        hideLogo?: boolean;
        hideFlowName?: boolean;
        homeButtonIcon?: 'back' | 'logo';
        /** When given, the home button calls it instead of leading to the list of apps. */
        homeButtonClickedHandler?: (event: { route: string }) => void;
    };
    dashboard?: { hideSidebar?: boolean };
    hideFolders?: boolean;
    styling?: {
        /** A style sheet with the font faces, https only; with `fontFamily`. */
        fontUrl?: string;
        fontFamily?: string;
        /** As the visitor's system unless told. */
        mode?: 'light' | 'dark';
    };
    navigation?: { handler?: (event: NavigationEvent) => void };
}

export interface ConfigureOptions {
    /** `https://console.example.com`, or with `/p/{platform}` behind it. */
    instanceUrl: string;
    /** A provisioning token that your backend signed. */
    jwtToken?: string;
    /** Gives a fresh one; asked at the start without `jwtToken`, and again before a session ends. */
    getToken?: () => string | Promise<string>;
    /** The path of your page that the builder's routes stand behind: `/automation`. */
    prefix?: string;
    embedding?: EmbeddingOptions;
    /** How long the start may take, in milliseconds; 30000 unless told. */
    timeout?: number;
}

export interface ConnectOptions {
    /** A plugin's slug, or one of its manifest's `pieceNames`. */
    pieceName: string;
    /** The connection to make or to renew, by your name for it. */
    connectionName?: string;
    /** The dialog in a window of its own; call `connect` from a click then, or browsers block it. */
    newWindow?: { width?: number; height?: number; top?: number; left?: number };
}

export interface RequestOptions {
    /** Below `/api/v1`: `/flows`. */
    path: string;
    method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'HEAD';
    /** Sent as JSON; not with GET and HEAD. */
    body?: unknown;
    queryParams?: Record<string, string>;
}

export interface EmbedEvents {
    /** The builder is there and signed in. */
    ready: {};
    route: NavigationEvent;
    /** Without `getToken`: time to call `updateToken` with a fresh one. */
    sessionExpiring: { expiresAt: string };
    sessionExpired: { expiresAt: string };
    tokenRenewed: {};
    /** What has no promise to reject: a renewal that failed. */
    error: StoaEmbedError;
}

export interface StoaEmbed {
    readonly version: string;
    /** Resolves when the builder is signed in. A second call ends what the first one made. */
    configure(options: ConfigureOptions): Promise<void>;
    /** Before the builder is ready it is kept until then. */
    navigate(to: { route: string }): void;
    /** `connection` is missing when the person closed the dialog. */
    connect(options: ConnectOptions): Promise<{ connection?: { id: string; name: string } }>;
    /** The answer's JSON. */
    request<T = any>(options: RequestOptions): Promise<T>;
    /** The builder's route in one of your URLs: what is behind `prefix`, which configure() knows; say it before. */
    extractRouteFromUrl(options: { vendorUrl: string; prefix?: string }): string;
    /** Returns what takes the listener away again. */
    on<E extends keyof EmbedEvents>(event: E, listener: (data: EmbedEvents[E]) => void): () => void;
    /** Hands over a fresh token, or asks `getToken` for one; the builder is not reloaded. */
    updateToken(token?: string | { jwtToken?: string }): Promise<void>;
    /** Takes away frames, windows, listeners and timers; what still waits is rejected. */
    destroy(): void;
}

export const version: string;
export const stoa: StoaEmbed;
export default stoa;

declare global {
    interface Window {
        /** Set by stoa-embed.js, not by the npm package. */
        stoa?: StoaEmbed;
        activepieces?: any;
    }
}
