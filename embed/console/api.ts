// The server, as this page asks it: JSON below /api/v1 of the place it was loaded from.
import type { Refusal } from '../sdk/src/messages';

export class ApiError extends Error implements Refusal {
    constructor(readonly code: string, message: string, readonly status: number, readonly details?: any) {
        super(message);
    }
}

export type Json = any;
export interface Page {
    data: Json[];
    next: string | null;
}

// '' or '/p/{platform}'
const base = /^(\/p\/[a-z0-9-]+)?\/embed(\/|$)/.exec(location.pathname)?.[1] ?? '';

export async function send(method: string, path: string, body?: unknown, token?: string, signal?: AbortSignal): Promise<Json> {
    const headers: Record<string, string> = token ? { authorization: `Bearer ${token}` } : {};
    if (body !== undefined) headers['content-type'] = 'application/json';
    let answer: Response;
    let json: Json;
    try {
        answer = await fetch(`${base}/api/v1${path}`, {
            method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body), credentials: 'omit', cache: 'no-store',
        });
        json = await answer.json();
    } catch (error) {
        if ((error as Error).name === 'AbortError') throw error;
        throw new ApiError('unreachable', 'The server cannot be reached.', 0);
    }
    if (!answer.ok) throw new ApiError(json.params ? json.code : json.code ?? 'refused', json.params?.message ?? json.message ?? String(answer.status), answer.status, json.details);
    return json;
}

const id = encodeURIComponent;
const PAGE = 100; // the most that the server gives at once
const ALL_MAX = 1000;

/** One method for each thing that views ask for. `call` adds the session. */
export class Api {
    constructor(private readonly call: (method: string, path: string, body?: unknown, signal?: AbortSignal) => Promise<Json>) {}

    // What is searched in and chosen from is there as a whole, up to ALL_MAX; the rest is behind `next`.
    private readonly all = async (path: string, signal?: AbortSignal): Promise<Page> => {
        const data: Json[] = [];
        let next: string | null = null;
        do {
            const page: Page = await this.call('GET', `${path}?limit=${PAGE}${next ? `&cursor=${id(next)}` : ''}`, undefined, signal);
            data.push(...page.data);
            next = page.next;
        } while (next && data.length < ALL_MAX);
        return { data, next };
    };

    apps = (signal?: AbortSignal): Promise<Page> => this.all('/flows', signal);
    app = (app: string, signal?: AbortSignal): Promise<Json> => this.call('GET', `/flows/${id(app)}`, undefined, signal);
    makeApp = (plugin: string): Promise<Json> => this.call('POST', `/plugins/${id(plugin)}/instances`);
    piece = async (name: string, signal?: AbortSignal): Promise<Json> => {
        const { data } = await this.call('GET', `/pieces?pieceName=${id(name)}`, undefined, signal);
        if (!data.length) throw new ApiError('piece_not_found', name, 404);
        return data[0];
    };
    pieces = (signal?: AbortSignal): Promise<Page> => this.all('/pieces', signal);

    runs = (app: string, limit: number, cursor?: string, signal?: AbortSignal): Promise<Page> =>
        this.call('GET', `/public-apps/instances/${id(app)}/runs?limit=${limit}${cursor ? `&cursor=${id(cursor)}` : ''}`, undefined, signal);
    run = (run: string, signal?: AbortSignal): Promise<Json> => this.call('GET', `/runs/${id(run)}`, undefined, signal);
    files = (app: string | undefined, limit: number, cursor?: string, signal?: AbortSignal): Promise<Page> =>
        this.call('GET', `/files?limit=${limit}${app ? `&instance=${id(app)}` : ''}${cursor ? `&cursor=${id(cursor)}` : ''}`, undefined, signal);
    file = (file: string): Promise<Json> => this.call('GET', `/files/${id(file)}`);

    domains = (signal?: AbortSignal): Promise<Page> => this.all('/public-apps/domains', signal);
    addDomain = (hostname: string, instanceId: string): Promise<Json> => this.call('POST', '/public-apps/domains', { hostname, instanceId });
    verifyDomain = (domain: string): Promise<Json> => this.call('POST', `/public-apps/domains/${id(domain)}/verify`);
    removeDomain = (domain: string): Promise<Json> => this.call('DELETE', `/public-apps/domains/${id(domain)}`);

    connections = (signal?: AbortSignal): Promise<Page> => this.all('/connections', signal);
    connect = (connection: Json): Promise<Json> => this.call('POST', '/connections', connection);
    removeConnection = (connection: string): Promise<Json> => this.call('DELETE', `/connections/${id(connection)}`);
}
