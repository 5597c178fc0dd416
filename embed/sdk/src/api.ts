// The host page's own session, opened when it is first needed, and requests with it.
import type { RequestOptions } from '../stoa-embed';
import { StoaEmbedError } from './errors';
import type { Tokens } from './tokens';

const REQUEST_MS = 60000;
const LEEWAY_MS = 30000;

interface Session {
    token: string;
    expiresAt?: string;
}

const isFresh = ({ expiresAt }: Session): boolean => !expiresAt || Date.parse(expiresAt) - Date.now() > LEEWAY_MS;

export class Api {
    private session?: Promise<Session>;
    private readonly aborter = new AbortController();

    constructor(private readonly instanceUrl: string, private readonly tokens: Tokens) {}

    /** A fresh provisioning token is there: the next request begins with it. */
    forget(): void {
        this.session = undefined;
    }

    end(): void {
        this.aborter.abort();
    }

    async request({ path, method = 'GET', body, queryParams }: RequestOptions): Promise<any> {
        const verb = String(method).toUpperCase();
        if (verb === 'OPTIONS' || (body !== undefined && /^(GET|HEAD)$/.test(verb))) throw new StoaEmbedError('invalid_options', `request() cannot send ${verb}${body === undefined ? '' : ' with a body'}.`);
        const query = queryParams && new URLSearchParams(queryParams).toString();
        const where = `/${String(path).replace(/^\/+/, '')}${query ? (path.includes('?') ? '&' : '?') + query : ''}`;
        const opened = this.session;
        try {
            return await this.send(where, method, body, (await this.open()).token);
        } catch (error) {
            // a session that was there before may have ended meanwhile; a new one that is refused is refused
            if ((error as StoaEmbedError).status !== 401 || !opened) throw error;
            this.forget();
            return this.send(where, method, body, (await this.open()).token);
        }
    }

    // Of many requests at once the first opens it.
    private open(): Promise<Session> {
        const exchange = () => this.exchange();
        return (this.session = this.session ? this.session.then((session) => (isFresh(session) ? session : exchange()), exchange) : exchange());
    }

    private async exchange(): Promise<Session> {
        return this.send('/managed-authn/external-token', 'POST', { externalAccessToken: await this.tokens.take() });
    }

    private async send(where: string, method: string, body: unknown, token?: string): Promise<any> {
        const stop = new AbortController();
        const end = () => stop.abort();
        const timer = setTimeout(end, REQUEST_MS);
        this.aborter.signal.addEventListener('abort', end);
        const headers: Record<string, string> = token ? { authorization: `Bearer ${token}` } : {};
        if (body !== undefined) headers['content-type'] = 'application/json';
        try {
            const answer = await fetch(`${this.instanceUrl}/api/v1${where}`, {
                method, headers, body: body === undefined ? undefined : JSON.stringify(body), credentials: 'omit', signal: stop.signal,
            });
            const text = await answer.text();
            return this.read(answer, text);
        } catch (error) {
            if (error instanceof StoaEmbedError) throw error;
            if (this.aborter.signal.aborted) throw new StoaEmbedError('destroyed', 'The builder was taken away meanwhile.');
            if (stop.signal.aborted) throw new StoaEmbedError('timed_out', `${this.instanceUrl} took more than ${REQUEST_MS / 1000} s to answer.`);
            throw new StoaEmbedError('unreachable', `${this.instanceUrl} cannot be reached, or does not take requests of ${location.origin}: the signing key's allowedOrigins name who may ask.`);
        } finally {
            clearTimeout(timer);
            this.aborter.signal.removeEventListener('abort', end);
        }
    }

    private read(answer: Response, text: string): any {
        let json: any;
        try {
            json = text ? JSON.parse(text) : undefined;
        } catch {
            throw new StoaEmbedError('bad_answer', `${this.instanceUrl} answered ${answer.status} with what is no JSON.`, answer.status);
        }
        if (!answer.ok) throw new StoaEmbedError(json?.code ?? 'refused', json?.message ?? `The server answered ${answer.status}.`, answer.status);
        return json;
    }
}
