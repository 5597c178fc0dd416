// The provisioning token: the one at hand, and the way to the next.
import { asError, StoaEmbedError } from './errors';
import { within } from './waiting';

const LEEWAY_S = 30;
const GET_TOKEN_MS = 30000;

/** Seconds since 1970, or nothing when it cannot be read: the server is the one to judge. */
function expiryOf(token: string): number | undefined {
    try {
        return JSON.parse(atob(token.split('.')[1].replace(/-/g, '+').replace(/_/g, '/'))).exp;
    } catch {
        return undefined;
    }
}

export class Tokens {
    private asking?: Promise<string>;

    constructor(private current: string | undefined, private readonly get?: () => string | Promise<string>) {}

    get canRenew(): boolean {
        return !!this.get;
    }

    set(token: string): void {
        this.current = token;
    }

    /** The one at hand while it lasts, else the next; the old one when there is no next. */
    fresh(): Promise<string> {
        const expiry = this.current && expiryOf(this.current);
        const isStale = !this.current || (!!expiry && expiry - Date.now() / 1000 < LEEWAY_S);
        return isStale && this.get ? this.next() : Promise.resolve(this.current as string);
    }

    /** One question at a time: who asks meanwhile gets the same answer. */
    next(): Promise<string> {
        return (this.asking ??= within(GET_TOKEN_MS, 'getToken', this.ask()).then(
            (token) => {
                this.asking = undefined;
                return (this.current = token);
            },
            (error) => {
                this.asking = undefined;
                throw asError(error, 'token_unavailable');
            }));
    }

    private async ask(): Promise<string> {
        if (!this.get) throw new StoaEmbedError('token_unavailable', 'Give updateToken() a token, or configure() a getToken.');
        const token = await this.get();
        if (!token || typeof token !== 'string') throw new StoaEmbedError('token_unavailable', 'getToken gave no token.');
        return token;
    }
}
