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
    private isUsed = false;
    private asking: Promise<unknown> = Promise.resolve();

    constructor(private current: string | undefined, private readonly get?: () => string | Promise<string>) {}

    get canRenew(): boolean {
        return !!this.get;
    }

    set(token: string): void {
        this.current = token;
        this.isUsed = false;
    }

    /** For one exchange. Each has a token of its own where there are more: a key may take each but once. */
    take(): Promise<string> {
        if (this.current && (!this.get || (!this.isUsed && !this.isStale()))) {
            this.isUsed = true;
            return Promise.resolve(this.current);
        }
        const mine = this.asking.then(() => within(GET_TOKEN_MS, 'getToken', this.ask())).catch((error) => {
            throw asError(error, 'token_unavailable');
        });
        this.asking = mine.catch(() => undefined); // one question at a time
        return mine;
    }

    private isStale(): boolean {
        const expiry = expiryOf(this.current as string);
        return !!expiry && expiry - Date.now() / 1000 < LEEWAY_S;
    }

    private async ask(): Promise<string> {
        const token = await this.get!();
        if (!token || typeof token !== 'string') throw new StoaEmbedError('token_unavailable', 'getToken gave no token.');
        return token;
    }
}
