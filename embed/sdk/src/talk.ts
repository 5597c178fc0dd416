// The talk with one of our pages, in a frame or a window: CLIENT_INIT, one VENDOR_INIT for each, the
// verdict, and whatever comes after. Only the page's own window at its exact origin is listened to,
// and spoken to.
import { asError, StoaEmbedError } from './errors';
import type { FromClient, FromVendor, VendorInit } from './messages';
import { Deferred, deferred, within } from './waiting';

// From the frame's load event, which an error page of the browser's fires as well.
const SILENCE_MS = 4000;

export interface TalkOptions {
    instanceUrl: string;
    timeout: number;
    isWindow: boolean;
    peer: () => Window | null | undefined;
    hello: () => Promise<VendorInit>;
    on: <T extends keyof FromClient>(type: T, data: FromClient[T]) => void;
}

export class Talk {
    /** Settles with the handshake. */
    readonly ready: Deferred<void> = deferred();
    isReady = false;
    private isGreeted = false; // has VENDOR_INIT, and so takes the next token, even after the first was refused
    private hasSpoken = false;
    private isOver = false;
    private renewing?: Deferred<void>;
    private readonly timers: number[] = [];
    private readonly origin: string;

    constructor(private readonly options: TalkOptions) {
        this.origin = new URL(options.instanceUrl).origin;
        addEventListener('message', this.listen);
        this.after(options.timeout, () => (this.hasSpoken ? this.fail(new StoaEmbedError('timed_out', `The builder was not ready within ${options.timeout / 1000} s.`)) : this.explainSilence()));
    }

    /** The frame has loaded something. */
    loaded(): void {
        if (!this.hasSpoken) this.after(SILENCE_MS, () => this.hasSpoken || this.explainSilence());
    }

    say<T extends keyof FromVendor>(type: T, data: FromVendor[T]): void {
        this.options.peer()?.postMessage({ type, data }, this.origin);
    }

    /** Settles when the page has exchanged the token; one that has yet to be greeted gets it with that. */
    async renew(take: () => Promise<string>): Promise<void> {
        if (!this.isGreeted) return this.ready.promise;
        const jwtToken = await take();
        if (!this.options.peer()) throw new StoaEmbedError('unreachable', 'The builder is not in the page any more.');
        const renewing = (this.renewing ??= deferred());
        this.say('VENDOR_TOKEN_UPDATED', { jwtToken });
        return within(this.options.timeout, 'The exchange of the new token', renewing.promise).finally(() => {
            if (this.renewing === renewing) this.renewing = undefined;
        });
    }

    end(why: StoaEmbedError): void {
        this.isOver = true;
        removeEventListener('message', this.listen);
        this.timers.forEach(clearTimeout);
        this.ready.reject(why);
        this.renewing?.reject(why);
    }

    private fail(error: StoaEmbedError): void {
        this.ready.reject(error);
    }

    private after(milliseconds: number, then: () => void): void {
        this.timers.push(setTimeout(then, milliseconds) as unknown as number);
    }

    // A browser tells nobody why a frame stays empty; whether the server answers at all narrows it down.
    private async explainSilence(): Promise<void> {
        const { instanceUrl, isWindow } = this.options;
        const isThere = await fetch(`${instanceUrl}/sdk/embed/latest.json`, { credentials: 'omit', cache: 'no-store' }).then(
            (answer) => answer.ok,
            () => false);
        if (this.hasSpoken) return;
        this.fail(isThere && isWindow
            ? new StoaEmbedError('timed_out', 'The window did not answer. A page with Cross-Origin-Opener-Policy: same-origin cannot talk to its windows.')
            : isThere
            ? new StoaEmbedError('origin_not_allowed', `${location.origin} may not frame ${instanceUrl}: add it to allowedOrigins of the signing key.`, 403)
            : new StoaEmbedError('unreachable', `${instanceUrl} cannot be reached from this page.`));
    }

    private readonly listen = (event: MessageEvent): void => {
        if (event.origin !== this.origin || !event.source || event.source !== this.options.peer()) return;
        const { type, data } = event.data ?? {};
        if (typeof type !== 'string' || this.isOver) return;
        switch (type as keyof FromClient) {
        case 'CLIENT_INIT':
            this.hasSpoken = true;
            this.isReady = this.isGreeted = false; // a frame that was taken out and put back begins again
            this.options.hello().then((hello) => {
                this.isGreeted = true;
                this.say('VENDOR_INIT', hello);
            }, (error) => this.fail(asError(error, 'token_unavailable')));
            break;
        case 'CLIENT_AUTHENTICATION_SUCCESS':
            this.renewing?.resolve();
            break;
        case 'CLIENT_AUTHENTICATION_FAILED': {
            const error = new StoaEmbedError(data?.code ?? 'refused', data?.message ?? 'The server refused the token.', data?.status ?? 401);
            this.renewing?.reject(error);
            this.fail(error);
            break;
        }
        case 'CLIENT_CONFIGURATION_FINISHED':
            this.isReady = true;
            this.ready.resolve();
        }
        this.options.on(type as keyof FromClient, data ?? {});
    };
}
