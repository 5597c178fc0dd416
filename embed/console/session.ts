// The session, in memory alone: opened by the host's token, renewed before it ends without anybody
// noticing. What was lost on the way or slept through, the host's last token makes good as long as the
// server takes it; else the host is told in time, and its next token opens another.
import { ApiError, Json, send } from './api';

const LEAD = 0.25; // of its life is left when it is renewed
const LEAD_MAX_MS = 4 * 60000;
const RETRY_MS = 5000;
const TOLERANCE_MS = 50;
const TIMER_MAX_MS = 2 ** 31 - 1;

export interface Identity {
    projectId: string;
    userId: string;
    projectName?: string;
    platformName?: string;
    role: string;
    firstName: string;
    lastName: string;
    email?: string;
}

interface Provision {
    externalAccessToken: string;
    parentOrigin: string;
}

export interface SessionEvents {
    expiring: (expiresAt: string) => void;
    expired: (expiresAt: string) => void;
    back: () => void;
}

export class Session {
    identity!: Identity;
    private token = '';
    private expiresAt = '';
    /** Its end, which no renewal puts off; nothing where the server does not tell. */
    endsAt?: string;
    private provision?: Provision; // while it may open the session once more
    private openedAt = 0;
    private timer?: number;
    private renewing?: Promise<boolean>;
    private opening?: Promise<void>;
    private told = ''; // the end that the host was told of
    private isOver = false;
    private isLast = false; // the server renews it no further

    constructor(private readonly on: SessionEvents) {
        document.addEventListener('visibilitychange', () => document.visibilityState === 'visible' && this.token && this.look());
        addEventListener('online', () => this.token && this.look());
    }

    /** Of two tokens at once the later one counts. */
    async open(jwtToken: string, parentOrigin: string): Promise<void> {
        const before = this.opening;
        const opening = (async () => {
            await before?.catch(() => undefined);
            await this.exchange({ externalAccessToken: jwtToken, parentOrigin });
        })();
        this.opening = opening;
        await opening;
    }

    /** With the session; once more with a new one when it ended early. */
    readonly call = async (method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<Json> => {
        const token = this.token;
        try {
            return await send(method, path, body, token, signal);
        } catch (error) {
            if (!(error instanceof ApiError) || error.status !== 401) throw error;
            if (token === this.token && !(await this.renew())) throw error;
            return send(method, path, body, this.token, signal);
        }
    };

    // `instead`: only while that token is the present one.
    private async exchange(provision: Provision, instead?: string): Promise<void> {
        const made = await send('POST', '/managed-authn/external-token', provision);
        if (instead !== undefined && this.token !== instead) return;
        this.provision = provision;
        this.identity = identityOf(made);
        this.take(made);
    }

    private take(made: Json): void {
        const isBack = this.isOver;
        this.endsAt = made.endsAt ?? this.endsAt;
        this.token = made.token;
        this.expiresAt = made.expiresAt;
        this.openedAt = Date.now();
        this.isOver = false;
        this.isLast = false;
        if (made.endsAt && Date.parse(made.endsAt) - Date.parse(made.expiresAt) < 1000) this.isNowLast();
        this.schedule();
        if (isBack) this.on.back();
    }

    // The token that opened it opens none beyond its end.
    private isNowLast(): void {
        this.isLast = true;
        this.provision = undefined;
    }

    private left(): number {
        return Date.parse(this.expiresAt) - Date.now();
    }

    // How long before its end it is seen to.
    private lead(): number {
        return Math.min((Date.parse(this.expiresAt) - this.openedAt) * LEAD, LEAD_MAX_MS);
    }

    private schedule(): void {
        this.after(this.left() - this.lead());
    }

    private after(milliseconds: number): void {
        clearTimeout(this.timer);
        this.timer = setTimeout(() => this.look(), Math.min(Math.max(milliseconds, 0), TIMER_MAX_MS)) as unknown as number;
    }

    // At its time, and when the tab wakes.
    private async look(): Promise<void> {
        const before = this.expiresAt;
        if (this.isOver && !this.provision) return;
        if (this.left() > this.lead() + TOLERANCE_MS) {
            this.schedule();
            return;
        }
        if (!this.isLast && (await this.renew())) return;
        if (this.expiresAt !== before) return; // the host's token came meanwhile
        if (this.left() <= 0) this.end();
        if (!this.isOver) {
            this.warn();
            this.after(this.isLast ? this.left() : Math.min(this.left(), RETRY_MS));
        } else if (this.provision) {
            this.after(RETRY_MS); // nobody has refused it: the server is out of reach
        }
    }

    private warn(): void {
        if (this.told === this.expiresAt) return;
        this.told = this.expiresAt;
        this.on.expiring(this.expiresAt);
    }

    private end(): void {
        if (this.isOver) return;
        this.isOver = true;
        clearTimeout(this.timer);
        this.on.expired(this.expiresAt);
    }

    // One at a time. True when there is a longer one now.
    private renew(): Promise<boolean> {
        return (this.renewing ??= this.refresh().finally(() => (this.renewing = undefined)));
    }

    private async refresh(): Promise<boolean> {
        const before = this.expiresAt;
        const token = this.token;
        try {
            const made = await send('POST', '/authentication/session/refresh', undefined, token);
            if (this.token !== token) return true; // the host's token came first
            const isLonger = Date.parse(made.expiresAt) - Date.parse(before) > 1000;
            this.token = made.token; // the old one is spent either way
            if (isLonger) this.take(made);
            else this.isNowLast();
            return isLonger;
        } catch (error) {
            if (this.token !== token) return true;
            return isRefusal(error) && this.reopen();
        }
    }

    // Another chain of the same session, by the token that opened it. Refused, it is not tried again.
    private async reopen(): Promise<boolean> {
        const { provision, token } = this;
        try {
            if (provision) await this.exchange(provision, token);
        } catch (error) {
            if (this.provision === provision && isRefusal(error)) this.provision = undefined;
        }
        if (this.token !== token) return true;
        if (!this.provision) this.end();
        return false;
    }
}

function isRefusal(error: unknown): boolean {
    return error instanceof ApiError && error.status >= 400 && error.status < 500 && error.status !== 408 && error.status !== 429;
}

function identityOf(made: Json): Identity {
    return {
        projectId: made.projectId, userId: made.id, projectName: made.projectName ?? made.projectDisplayName, platformName: made.platformName ?? made.platformDisplayName,
        role: made.role ?? made.projectRole, firstName: made.firstName, lastName: made.lastName, email: made.email,
    };
}
